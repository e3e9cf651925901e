#include <filesystem>
#include <iostream>
#include <thread>

#include "cloud/api/commands.hpp"
#include "cloud/gateway/clock.hpp"
#include "cloud/gateway/registration.hpp"
#include "cloud/gateway/strict_json.hpp"
#include "cloud/gateway/tokens.hpp"
#include "cloud/gateway/upload.hpp"
#include "core/base/encoding.hpp"
#include "core/base/files.hpp"

namespace hawser::cloud {
namespace {

int deliver(const UploadRecord& upload, const std::string& output) {
  if (output.empty()) {
    std::cout << upload.path << "\n";
    return 0;
  }
  const auto content = read_file(upload.path, Upload::kBytesMax);
  if (!content) return failed(content.error().message);
  if (auto written = write_file_atomically(output, *content, 0600); !written) return failed(written.error().message);
  std::cout << output << "\n";
  return 0;
}

// "" as long as neither the upload nor the answer says that it is over.
std::string end_of(Store& store, const std::string& hash, const CommandRecord& command, UploadRecord& upload) {
  const auto answer = store.command(upload.serial, command.id);
  const auto found = store.upload(hash);
  if (!answer || !found) return "the device was removed meanwhile";
  upload = *found;
  if (upload.state == "failed") return "the upload failed: " + upload.reason;
  if (answer->state == "failed") return "the device made no bundle: " + for_terminal(Json::parse(answer->result));
  if (answer->state == "done" && upload.state == "open") return "the device says done, but nothing was uploaded";
  return "";
}

}  // namespace

int fetch_bundle(const Settings& settings, Store& store, const BundleOptions& options) {
  if (auto refused = refuse_unknown(store, options.serial)) return *refused;
  const std::string token = make_token(), hash = token_hash(token);
  const Millis now = Now::real().wall;
  const std::string url = "https" + origin_for(settings, "").substr(3) + std::string(Upload::kPrefix) + token;
  const CommandRecord command{random_uuid(), "collect_bundle", Json{{"url", url}}.dump(), "open", ""};
  store.add_upload(hash, options.serial, now + Upload::kLifeMs);
  if (auto added = store.add_command(options.serial, command, now); !added) return failed(added.error().message);
  std::cerr << "the device is asked for its bundle\n";
  UploadRecord upload;
  for (const auto end = Now::real().mono + options.wait_s * 1000LL; Now::real().mono < end;
       std::this_thread::sleep_for(kStorePoll)) {
    upload.serial = options.serial;
    if (const std::string over = end_of(store, hash, command, upload); !over.empty()) return failed(over);
    if (upload.state == "done") return deliver(upload, options.output);
  }
  return failed("no bundle within " + std::to_string(options.wait_s) +
                " s; if the device comes back within ten minutes, it is found in " + bundle_folder(settings).string());
}

}  // namespace hawser::cloud
