#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace hawser::cloud {

// A vendor's microservice, [[microservice]]: the gateway passes subconnections on to it (promise cloud-5).
struct VendorMicroservice {
  std::string service, protocol;
  std::string host, path;  // of ws://host:port/path; an address
  int port = 80;
  std::string key;  // what it knows the gateway by; empty: nothing is sent
  bool operator==(const VendorMicroservice&) const = default;
};

// cloud.toml, checked. Read at start and at a reload.
struct Settings {
  // [server]
  std::vector<std::string> names;  // every name devices know this cloud by; the proof's aud must be one of them
  std::string public_host;         // host in the URLs given to devices; empty: the name that the device used
  std::string listen = "0.0.0.0";
  int authentication_port = 19443;
  int connection_port = 443;
  int public_connection_port = 0;  // port in the URLs given to devices; 0: connection_port
  std::string certificate_file, key_file;
  std::string database;
  std::string log_level = "info";
  // [fleet]
  int reconnect_spread_s = -1;  // -1: grows with the number of devices
  int token_life_s = 3600;
  int grant_ping_s = 60;
  int drain_spread_s = 2;  // over which devices are asked to leave when the server goes down
  int drain_limit_s = 3;   // after which who is left is closed
  // [limits]
  int connections = 50'000;
  int connections_per_address = 4096;
  int admissions_per_second = 200;  // authentications, and registrations as many; who is over it is told when to come
  int max_message_bytes = 1 << 20;
  int max_in_flight_messages = 4096;
  int max_in_flight_bytes = 8 << 20;
  std::vector<VendorMicroservice> microservices;
};

struct SettingsRead {
  Settings settings;
  std::vector<std::string> faults;  // "file:line:column: key: what is wrong, what would be right"
};

// Every fault in one go; paths are taken relative to the file's folder.
SettingsRead read_settings(const std::filesystem::path& file);

}  // namespace hawser::cloud
