#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "cloud/api/settings.hpp"
#include "cloud/store/store.hpp"

// What operators do from the command line, on the same store as a running `serve`. Each returns the exit code: 0 done,
// 1 refused or failed with a sentence on standard error. Output goes to standard output.
namespace hawser::cloud {

inline constexpr std::chrono::milliseconds kStorePoll{50};  // between looks for what `serve` or a device does

struct DeviceOptions {
  std::string serial, model;
  bool password_stdin = false;
  bool json = false;
};

int device_add(Store& store, const DeviceOptions& options);
int device_list(Store& store, bool json);
int device_show(Store& store, const DeviceOptions& options);
int device_remove(const Settings& settings, Store& store, const std::string& serial);
int device_block(Store& store, const std::string& serial, bool blocked);
// The password that a device must prove at its authentications, from a terminal without echo or one line of standard
// input.
int device_password(Store& store, const std::string& serial, bool unset);
// Any operator for an exact serial; the answer shows neither owner nor existence.
int unbinding_code(Store& store, const std::string& serial, bool json);
int service_enable(Store& store, const std::string& serial, const std::string& service, bool enabled);
// What the device reported and what the cloud saw of its connections, oldest first; the last `limit` of each.
int device_history(Store& store, const std::string& serial, int limit, bool json);

struct BundleOptions {
  std::string serial, output;
  int wait_s = 60;
};
// Asks the device for a support bundle, and waits until it is uploaded.
int fetch_bundle(const Settings& settings, Store& store, const BundleOptions& options);

int show_logs(Store& store, const std::string& serial, const std::string& source, bool json);
int show_metrics(Store& store, const std::string& serial, bool json, int set_interval_s);
int send_command(Store& store, const std::string& serial, const std::string& name, const std::string& args, int wait_s);

struct PushOptions {
  std::string serial;
  bool check = false;
  std::vector<std::string> reload, files, deleted;  // files: PATH=LOCALFILE
  int confirm_timeout_s = 120;
  int wait_s = 0;
  std::string until = "applied";
  std::string mode, owner, group;      // empty: as the local file's
  std::size_t part_bytes = 512 << 10;  // of one part before base64
};
// Half of the limit: base64 makes four bytes of three, and the rest of the message wants room too.
constexpr std::size_t part_bytes(int max_message_bytes) { return static_cast<std::size_t>(max_message_bytes) / 2; }
int config_push(Store& store, const PushOptions& options);
int config_show(Store& store, const std::string& serial, bool json);

struct SiteOptions {
  std::string site;
  std::vector<std::string> enable, disable, forget, config;  // config: ID=FILE.json
};
int site_set(Store& store, const SiteOptions& options);
int site_show(Store& store, const std::string& site, bool json);
int site_list(Store& store, bool json);

int plugin_upload(const Settings& settings, Store& store, const std::string& file);
int plugin_list(Store& store, bool json);
int plugin_remove(Store& store, const std::string& id, const std::string& version);
struct InstallOptions {
  std::string site;                // empty: the first word is a serial
  std::vector<std::string> words;  // [SERIAL] ID [VERSION]
  int wait_s = 0;
};
int plugin_install(const Settings& settings, Store& store, const InstallOptions& options);
// `verb`: enable, disable or restart.
int device_plugin(Store& store, const std::string& serial, const std::string& verb, const std::string& id, int wait_s);

// A sentence on standard error, and 1.
int failed(const std::string& sentence);
// "device X is not added" on standard error and 1, or nothing.
std::optional<int> refuse_unknown(Store& store, const std::string& serial);

}  // namespace hawser::cloud
