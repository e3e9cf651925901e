#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/json.hpp"
#include "core/control/control_socket.hpp"
#include "core/supervisor/action_runner.hpp"

namespace hawser::daemon {

inline constexpr std::chrono::minutes kBundleLimit{10};
inline constexpr std::size_t kBundleUrlBytesMax = 2048;

// Whether the cloud may name it, args.url of a command: what is wrong as a sentence, else empty (sdk/protocol.md §1).
std::string check_https_url(const std::string& url);

// What a program of ours needs to find the proxy that the environment names.
void add_proxy_environment(config::Action& action);

// The cloud's command collect_bundle: hawserctl makes the bundle and puts it to the URL, in a process of its own, so
// that neither the disk nor the upload is waited for here. The URL, which may open a door, is handed over in a file
// that nobody else reads: everybody sees a command line. One at a time.
// Owned by main(), lives on the loop's thread.
class BundleUpload {
 public:
  // `hawserctl`: the program and its options. `runtime_dir`: in memory, for the file with the URL.
  BundleUpload(Loop& loop, std::vector<std::string> hawserctl, const std::filesystem::path& runtime_dir)
      : hawserctl_(std::move(hawserctl)), url_file_(runtime_dir / "bundle-url"), runner_(loop) {}

  // Answers {} when it is there, `busy`, `bad_request`, or why it did not get there.
  void run(const std::string& url, const control::Reply& reply);

 private:
  std::vector<std::string> hawserctl_;
  std::filesystem::path url_file_;
  bool busy_ = false;
  supervisor::ActionRunner runner_;  // last: it ends first
};

}  // namespace hawser::daemon
