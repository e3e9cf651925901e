#pragma once

// For the tests of this folder: a device whose files outlive the plugin, and one run of the plugin on it.

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "config_push.hpp"
#include "encoding.hpp"
#include "sdk/testing/fake_host.hpp"
#include "tests/catch.hpp"

namespace hawser::config_push {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using namespace std::chrono_literals;
using sdk::testing::FakeHost;
using sdk::testing::FakeSubconnection;

inline std::string to_base64(const std::string& bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    unsigned bits = 0;
    for (std::size_t k = 0; k < 3; ++k)
      bits = bits << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0);
    for (std::size_t k = 0; k < 4; ++k) text += i + k > bytes.size() ? '=' : kDigits[bits >> (18 - 6 * k) & 63];
  }
  return text;
}

inline std::string sha256(const std::string& bytes) {
  Sha256 digest;
  digest.add(bytes);
  return digest.hex();
}

// A device whose folders outlive one run of the plugin.
struct Device {
  std::string root, etc, state;
  mutable std::map<std::string, sdk::testing::FakeSpool> spools;  // what the host has on disk
  Device() {
    // In memory where that is to be had: these tests sync files hundreds of times.
    std::string name =
        (::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") + std::string("/hawser_push_test_XXXXXX");
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    root = name;
    etc = root + "/etc";
    state = root + "/state";
    fs::create_directories(etc + "/app");
    fs::create_directories(state);
  }
  ~Device() { fs::remove_all(root); }
  std::string path(const std::string& name) const { return etc + "/app/" + name; }
  void write(const std::string& name, const std::string& text) const { std::ofstream(path(name)) << text; }
  std::string read(const std::string& name) const {
    std::ifstream file(path(name));
    if (!file) return "(none)";
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // Names of what lies in the folder: nothing that was staged may stay there.
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(etc + "/app"), fs::directory_iterator()));
  }
  Json file(const std::string& name, const std::string& content) const {
    return {{"path", path(name)}, {"content_b64", to_base64(content)}, {"sha256", sha256(content)}};
  }
  Json removal(const std::string& name) const { return {{"path", path(name)}, {"delete", true}}; }
};

inline std::string order(const std::string& revision, const Json& files, const Json& more = Json::object()) {
  Json json = {{"type", "apply"}, {"revision", revision}, {"mode", "apply"}, {"confirm_timeout_s", 60},
               {"part", 1},       {"parts", 1},           {"files", files},  {"reload", Json::array()}};
  json.update(more);
  // {x} is x itself for nlohmann::json, not a list of it.
  for (const char* list : {"files", "reload"}) {
    if (!json[list].is_array()) json[list] = Json::array({json[list]});
  }
  return json.dump();
}

// One run of the plugin. Leaving the scope is kill -9.
struct Run {
  FakeHost host;
  FakeSubconnection* cloud = nullptr;

  const Device& device;

  explicit Run(const Device& on, bool acks = true, const std::function<void(FakeHost&)>& prepare = {}) : device(on) {
    host.spools = device.spools;
    host.facts["plugin.state_dir"] = device.state;
    host.actions["reload"] = {{.exit_code = 0}};
    if (prepare) prepare(host);
    REQUIRE(host.load(sdk::Binding<ConfigPush>::table));
    REQUIRE(host.start(Json{{"allowed", {device.etc + "/app/**"}}}.dump()) == HWS_OK);
    if (!host.has_subconnection()) return;
    connect(acks);
  }
  ~Run() {
    host.destroy();
    device.spools = host.spools;
  }
  void connect(bool acks = true) {
    cloud = &host.subconnection("config_push");
    host.settle_down();
    cloud->acks_at_once = acks;
    cloud->open();
    if (acks) cloud->ack_all();
  }
  std::vector<Json> statuses() const {
    std::vector<Json> all;
    for (const auto* sent : {&cloud->resent, &cloud->durable_sent})
      for (const auto& message : *sent) all.push_back(Json::parse(message.data));
    return all;
  }
  // "received applied confirmed"
  std::string states() const {
    std::string text;
    for (const Json& status : statuses()) text += (text.empty() ? "" : " ") + status.at("state").get<std::string>();
    return text;
  }
  Json last() const { return statuses().back(); }
  bool reaches(const std::string& state) {
    return host.run_until([&] {
      if (!cloud && host.has_subconnection()) connect();
      return cloud && !statuses().empty() && last().at("state") == state;
    });
  }
};

}  // namespace hawser::config_push
