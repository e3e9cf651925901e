#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "core/base/files.hpp"

namespace hawser::transport::test {

// False, with a word on standard error, where this process may make no network namespaces.
inline bool can_make_namespaces() {
  const std::string name = "hwtry" + std::to_string(::getpid());
  if (::geteuid() == 0 && std::system(("ip netns add " + name + " 2>/dev/null && ip netns del " + name).c_str()) == 0)
    return true;
  std::fputs("skipped: this test makes network namespaces, which takes root and iproute2\n", stderr);
  return false;
}

inline void run(const std::string& command) {
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

// A named network namespace of this test, with lo up and names of its own; gone with the object.
class TestNamespace {
 public:
  explicit TestNamespace(const std::string& word) : name_("hw" + std::to_string(::getpid()) + word) {
    run("ip netns add " + name_ + " && ip -n " + name_ + " link set lo up");
    fd_.reset(::open(("/run/netns/" + name_).c_str(), O_RDONLY | O_CLOEXEC));
  }
  ~TestNamespace() {
    (void)!std::system(("ip netns del " + name_).c_str());
    std::error_code ignored;
    std::filesystem::remove_all(folder(), ignored);
  }
  TestNamespace(const TestNamespace&) = delete;
  TestNamespace& operator=(const TestNamespace&) = delete;

  const std::string& name() const { return name_; }
  int fd() const { return fd_.get(); }
  std::string folder() const { return "/etc/netns/" + name_; }
  void write(const std::string& file, const std::string& content) const {
    std::filesystem::create_directories(folder());
    std::ofstream(folder() + "/" + file) << content;
  }
  // One `ip` command in it.
  void ip(const std::string& words) const { run("ip -n " + name_ + " " + words); }

 private:
  std::string name_;
  Descriptor fd_;
};

}  // namespace hawser::transport::test
