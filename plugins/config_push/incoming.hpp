#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hawser::config_push {

// Which durable message of the cloud; the same after a crash between taking and acknowledging.
struct MessageId {
  std::string stream;
  std::uint64_t number = 0;
  bool operator==(const MessageId&) const = default;
};

// The parts of one revision, as they came, on disk before they count as taken.
class Incoming {
 public:
  explicit Incoming(const std::string& state_folder);  // makes the folder

  void clear();
  void add(std::size_t part, const MessageId& id, std::string_view payload);  // returns with the part on disk
  std::string payload(std::size_t part) const;                                // throws when it is not there
  std::size_t count() const { return ids_.size(); }                           // parts 1 to count() are there
  bool has(const MessageId& id) const;
  const MessageId& last() const { return ids_.back(); }

 private:
  std::string file(std::size_t part) const;

  std::string folder_;
  std::vector<MessageId> ids_;
};

}  // namespace hawser::config_push
