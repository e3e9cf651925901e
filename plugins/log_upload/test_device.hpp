#pragma once

// For the tests of this folder: a device whose files outlive the plugin, and one run of the plugin on it.

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "log_upload.hpp"
#include "sdk/testing/fake_host.hpp"
#include "tests/catch.hpp"

namespace hawser::log_upload {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using sdk::testing::FakeHost;
using sdk::testing::FakeSubconnection;

struct Message {
  Json header;
  std::string body;
};

inline Message parse(const std::string& payload) {
  std::size_t length = 0;
  for (int i = 0; i < 4; ++i)
    length = length << 8 | static_cast<unsigned char>(payload.at(static_cast<std::size_t>(i)));
  REQUIRE(length <= kHeaderBytesMax);
  return {Json::parse(payload.substr(4, length)), payload.substr(4 + length)};
}

// The microservice of the cloud, as sdk/protocol.md wants it: a number that is stored already is a repetition, pieces of
// a file_id are contiguous, and none comes twice.
class Received {
 public:
  void take(const sdk::testing::SentMessage& sent) {
    if (sent.number <= stored) return;
    stored = sent.number;
    const Message message = parse(sent.data);
    std::string& file = files[message.header.at("file_id")];
    const std::size_t offset = message.header.at("offset");
    REQUIRE(message.header.at("end_offset") == offset + message.body.size());
    if (file.empty()) file.assign(offset, ' ');  // begun at the end
    REQUIRE(offset == file.size());
    file += message.body;
    all += message.body;
    headers.push_back(message.header);
  }
  std::map<std::string, std::string> files;
  std::string all;  // in the order of arrival
  std::vector<Json> headers;
  std::uint64_t stored = 0;
};

// Folders for logs and state that outlive one run of the plugin.
struct Device {
  fs::path root, logs, state;
  std::map<std::string, sdk::testing::FakeSpool> spools;  // what the host has on disk
  Received cloud;
  Device() {
    // In memory where that is to be had: these tests sync files hundreds of times.
    std::string name = (::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") + std::string("/hawser_log_test_XXXXXX");
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    root = name;
    logs = root / "log";
    state = root / "state";
    fs::create_directories(logs);
    fs::create_directories(state);
  }
  ~Device() { fs::remove_all(root); }
  void append(const std::string& name, const std::string& text) const {
    std::ofstream(logs / name, std::ios::app | std::ios::binary) << text;
  }
  std::string config(const std::string& pattern, const std::string& from = "beginning") const {
    return Json{{"sources", {{{"name", "test"}, {"paths", {(logs / pattern).string()}}, {"from", from}}}}}.dump();
  }
};

// One run of the plugin. Leaving the scope is kill -9: nothing is said to the plugin before.
struct Run {
  FakeHost host;
  Device& device;
  FakeSubconnection* end = nullptr;
  std::size_t taken = 0, taken_again = 0;

  Run(Device& on, const std::string& config, bool opens = true) : device(on) {
    host.spools = device.spools;
    host.facts["plugin.state_dir"] = device.state.string();
    REQUIRE(host.load(sdk::Binding<LogUpload>::table));
    REQUIRE(host.start(config) == HWS_OK);
    end = &host.subconnection("log_upload");
    host.settle_down();  // found() and resumed()
    if (opens) end->open();
  }
  ~Run() {
    host.destroy();
    device.spools = host.spools;
  }
  // Takes what was sent over to the cloud; acknowledges it.
  void deliver(bool acks = true) {
    for (; taken_again < end->resent.size(); ++taken_again) device.cloud.take(end->resent.at(taken_again));
    for (; taken < end->durable_sent.size(); ++taken) device.cloud.take(end->durable_sent.at(taken));
    if (acks) end->ack_all();
  }
  bool arrives(const std::string& all, bool acks = true) {
    const bool came = host.run_until([&] {
      deliver(acks);
      return device.cloud.all.size() >= all.size();
    });
    CHECK(device.cloud.all == all);
    return came && device.cloud.all == all;
  }
};

inline std::string lines(int from, int to) {
  std::string text;
  for (int i = from; i < to; ++i) text += "line " + std::to_string(i) + "\n";
  return text;
}

}  // namespace hawser::log_upload
