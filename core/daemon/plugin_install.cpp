#include "core/daemon/plugin_install.hpp"

#include <algorithm>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"
#include "core/daemon/bundle_upload.hpp"
#include "core/trust/manifest.hpp"
#include "core/trust/version.hpp"

namespace hawser::daemon {
namespace {

constexpr std::size_t kInstallWordsMax = 1024;

// What is wrong with the arguments, as a sentence; else empty.
std::string fault_of(const json::Object& args) {
  if (const auto fault = check_https_url(json::text_or(args, "url")); !fault.empty()) return fault;
  if (!trust::is_plugin_id(json::text_or(args, "plugin"))) return "args.plugin must be the id of a plugin";
  if (!trust::Version::parse(json::text_or(args, "version"))) return "args.version must be a version, as in 1.2.3";
  if (!trust::is_sha256(json::text_or(args, "sha256")))
    return "args.sha256 must be 64 hexadecimal digits in lower case";
  return "";
}

// hawserctl --json says in its last line of JSON what became of it.
Result<json::Object> outcome_of(const supervisor::ActionResult& result) {
  const auto begin = result.output.rfind("\n{");
  const auto from = begin == std::string::npos ? 0 : begin + 1;
  const auto line = json::parse_object(result.output.substr(from, result.output.find('\n', from) - from));
  if (line && result.exit_code == 0) return line;
  const auto error = line ? json::object_member(*line, "error") : line;
  if (error) return Error{json::text_or(*error, "code", "install_failed"), json::text_or(*error, "message")};
  return Error{"install_failed",
               "hawserctl plugin fetch " + result.reason + " " + printable(result.output, kInstallWordsMax)};
}

}  // namespace

void PluginInstall::run(const json::Object& args, const control::Reply& reply) {
  if (const auto fault = fault_of(args); !fault.empty()) return reply(Error{"bad_request", fault});
  if (busy_) return reply(Error{"busy", "another plugin is being installed for the cloud; ask again when it is there"});
  auto request = json::make_object();
  for (const char* name : {"plugin", "version", "url", "sha256"}) request->set(name, json::text_or(args, name));
  if (const auto written = write_file_atomically(request_file_, json::to_text(request)); !written)
    return reply(written.error());
  busy_ = true;
  config::Action action{hawserctl_, kInstallLimit};
  for (const std::string& word : {std::string("plugin"), std::string("fetch"), request_file_.string()})
    action.command.push_back(word);
  add_proxy_environment(action);
  runner_.run("cloud", "plugin_install", action, [this, reply](const supervisor::ActionResult& result) {
    busy_ = false;
    std::error_code ignored;
    std::filesystem::remove(request_file_, ignored);
    reply(outcome_of(result));
  });
}

}  // namespace hawser::daemon
