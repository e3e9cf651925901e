#include "sdk/tool/sign.hpp"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "core/trust/plugin_folder.hpp"
#include "sdk/tool/pack.hpp"

namespace hawser::tool {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMinisign = "minisign";

Status run(std::vector<std::string> words) {
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  const int failed = ::posix_spawnp(&child, kMinisign, nullptr, nullptr, arguments.data(), environ);
  if (failed == ENOENT)
    return Error{"not_found",
                 "minisign is not installed, and it is what signs: apt-get install minisign, or sign where the key is, "
                 "with `minisign -S -s " +
                     words.at(3) + " -m " + words.at(5) + "`"};
  if (failed != 0) return Error{"not_found", std::string("minisign could not be started: ") + std::strerror(failed)};
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return ok();
  return Error{"signature_refused", "minisign did not sign; what it said stands above"};
}

}  // namespace

Result<fs::path> sign(const SignOptions& options) {
  if (::access(options.key.c_str(), R_OK) != 0)
    return Error{"not_found", options.key.string() + ": " + std::strerror(errno) +
                                  "; a pair of keys is made with `minisign -G -p acme.pub -s acme.key`"};
  if (const auto packed = pack(options.folder); !packed) return packed.error();
  const fs::path manifest = options.folder / trust::kManifestFile;
  std::vector<std::string> words = {kMinisign, "-S", "-s", options.key.string(), "-m", manifest.string()};
  if (options.comment) words.insert(words.end(), {"-t", *options.comment});
  if (options.key_has_no_password) words.push_back("-W");
  if (const auto status = run(words); !status) return status.error();
  return options.folder / trust::kSignatureFile;
}

}  // namespace hawser::tool
