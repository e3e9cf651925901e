#pragma once

#include <map>
#include <set>
#include <span>
#include <string>

namespace hawser::daemon {

// The links, addresses and routes that the kernel told of, so that what changes can be told from what is only said
// again: lifetimes that a router refreshes, statistics of a radio. One thread; nothing here blocks.
class LinkTable {
 public:
  static constexpr std::size_t kKnownMax = 8192;  // of each kind; more is forgotten, and then counts as news

  // One or more rtnetlink messages as they came. True when one of them changed something; `what` names the last such.
  // `done`: a dump has ended.
  bool take(std::span<const char> bytes, std::string& what, bool& done);
  void forget();

 private:
  bool take_link(const char* message, std::size_t size, bool gone, std::string& what);
  bool take_address(const char* message, std::size_t size, bool gone, std::string& what);
  bool take_route(const char* message, std::size_t size, bool gone, std::string& what);

  std::map<int, unsigned> links_;              // index: the flags that matter
  std::map<std::string, unsigned> addresses_;  // index, family and bytes: the flags that matter
  std::set<std::string> routes_;
};

}  // namespace hawser::daemon
