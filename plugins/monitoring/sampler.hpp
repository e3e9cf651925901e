#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "otlp_writer.hpp"
#include "outside.hpp"
#include "parse.hpp"

namespace hawser::monitoring {

struct Identity {  // resource attributes
  std::string serial, hostname, site;
};

// Reads the device once and writes what it found as an OTLP request. What a device does not have is left out.
// Owned by the plugin; on the service thread. Keeps the last CPU times for the utilization, and every buffer.
class Sampler {
 public:
  Sampler(Outside outside, std::string version);

  // `dropped`: samples that could not be sent so far. The text is good until the next call.
  std::string_view sample(const Identity& identity, std::uint64_t dropped);

 private:
  using Kind = OtlpWriter::Kind;

  void cpu();
  void cpu_utilization();
  void load();
  void memory();
  void swap();
  void file_systems();
  void disks();
  void interfaces();
  void network_counter(std::string_view name, std::string_view unit, std::uint64_t Direction::*counter);
  void temperatures();
  void hwmon_chip(const std::string& folder, const std::string& chip);
  void processes();
  void one_number(Kind kind, const char* name, const char* unit, const std::string& path, bool last = false);

  // The content of a file in the buffer; empty when it cannot be read. Good until the next call.
  std::string_view read(const std::string& path);
  std::vector<std::string> entries(const std::string& folder) const;

  Outside outside_;
  std::string version_;  // of the plugin: the scope's
  OtlpWriter out_;
  double ticks_per_second_;
  std::string buffer_;
  Stat stat_, last_stat_;
  std::vector<Swap> swaps_;
  std::vector<Mount> mounts_;
  std::vector<Disk> disks_;
  std::vector<Interface> interfaces_;
};

}  // namespace hawser::monitoring
