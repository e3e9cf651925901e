#pragma once

#include <sys/types.h>

#include <deque>
#include <string>

#include "core/base/files.hpp"
#include "core/base/json.hpp"
#include "core/base/waker.hpp"
#include "tests/test_folder.hpp"

namespace hawser::connection {

// scripted_cloud.py as a child process, for the tests. One thread.
class TestCloud {
 public:
  static constexpr milliseconds kPatience{20'000};  // beyond it a test has failed

  // `plan` as scripted_cloud.py wants it.
  explicit TestCloud(const std::string& plan);
  TestCloud(const TestCloud&) = delete;
  TestCloud& operator=(const TestCloud&) = delete;
  ~TestCloud();

  std::uint16_t port() const { return port_; }
  std::uint16_t connect_port() const { return connect_port_; }
  const std::string& ca_file() const { return ca_file_; }

  // The next thing that the cloud saw; an object without members when nothing came within `patience`.
  json::Object next(milliseconds patience = kPatience);
  // Goes on until the cloud sees `what`; for what=message, of `type`. The others are skipped, and kept in story().
  json::Object wait_for(const std::string& what, const std::string& type = "", milliseconds patience = kPatience);
  void tell(const std::string& order);  // JSON
  void die();                           // SIGKILL: every connection ends, and the ports refuse
  void thaw();                          // after freeze()
  void freeze();                        // SIGSTOP: its connections stay, and say nothing more

  const std::string& story() const { return story_; }  // all that was read so far, for a failed test

 private:
  std::string read_line(milliseconds patience);

  TestFolder folder_;
  Descriptor in_, out_;
  pid_t pid_ = -1;
  std::string buffer_, story_, ca_file_;
  std::uint16_t port_ = 0, connect_port_ = 0;
};

}  // namespace hawser::connection
