#include "core/daemon/bundle_upload.hpp"

#include <algorithm>
#include <cstdlib>
#include <span>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"

namespace hawser::daemon {
namespace {

constexpr std::size_t kWordsMax = 512;

Error failure(const supervisor::ActionResult& result) {
  std::string words = printable(result.output, kWordsMax);
  if (words.empty() || !result.reason.empty()) words = "hawserctl bundle " + result.reason + " " + words;
  return {"bundle_failed", words};
}

}  // namespace

std::string check_https_url(const std::string& url) {
  constexpr std::string_view kScheme = "https://";
  if (url.rfind(kScheme, 0) != 0) return "args.url must begin with https://";
  if (url.size() > kBundleUrlBytesMax) return "args.url must be 2048 bytes long at most";
  const bool clean = std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (!clean || url.find('#') != url.npos) return "args.url must be without blanks, control characters and fragment";
  const auto authority = url.substr(kScheme.size(), url.find_first_of("/?", kScheme.size()) - kScheme.size());
  if (authority.empty() || authority.find('@') != authority.npos) return "args.url must name a host, and no user";
  return "";
}

void add_proxy_environment(config::Action& action) {
  for (const auto names :
       {std::span<const char* const>(config::kProxyVariables), std::span<const char* const>(config::kNoProxyVariables)})
    for (const char* name : names)
      if (const char* value = std::getenv(name)) action.environment.push_back(std::string(name) + "=" + value);
}

void BundleUpload::run(const std::string& url, const control::Reply& reply) {
  if (const auto fault = check_https_url(url); !fault.empty()) return reply(Error{"bad_request", fault});
  if (busy_) return reply(Error{"busy", "a bundle is on its way already; ask again when it is there"});
  if (const auto written = write_file_atomically(url_file_, url); !written) return reply(written.error());
  busy_ = true;
  config::Action action{hawserctl_, kBundleLimit};
  for (const std::string& word : {std::string("bundle"), std::string("--upload"), "@" + url_file_.string()})
    action.command.push_back(word);
  add_proxy_environment(action);
  runner_.run("cloud", "collect_bundle", action, [this, reply](const supervisor::ActionResult& result) {
    busy_ = false;
    std::error_code ignored;
    std::filesystem::remove(url_file_, ignored);
    const bool there = result.exit_code && *result.exit_code == 0;
    reply(there ? Result<json::Object>(json::make_object()) : Result<json::Object>(failure(result)));
  });
}

}  // namespace hawser::daemon
