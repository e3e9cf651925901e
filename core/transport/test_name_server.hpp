#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/base/files.hpp"

namespace hawser::transport::test {

// A name server of one thread on a free UDP port of 127.0.0.1, or where the test says, that answers as the test says.
class NameServer {
 public:
  static constexpr int kA = 1, kAaaa = 28;
  struct Answer {
    std::vector<std::string> addresses = {};  // as text
    int code = 0;                             // 3: no such name
    bool swallow = false;                     // no answer at all
  };
  using Script = std::function<Answer(const std::string& name, int type)>;

  explicit NameServer(Script script, const char* ip = "127.0.0.1", std::uint16_t port = 0);
  ~NameServer();
  std::string address() const;     // "127.0.0.1:port"
  std::string last_asker() const;  // the address that the last question came from

 private:
  void run();
  std::string answer_to(const std::string& question) const;

  Descriptor socket_, stop_reader_, stop_;
  std::string ip_;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;  // guards last_asker_
  std::string last_asker_;
  Script script_;
  std::thread thread_;
};

}  // namespace hawser::transport::test
