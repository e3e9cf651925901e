#pragma once

#include <stdexcept>
#include <string>

namespace hawser::config_push {

// Thrown where a revision cannot go on: the reason is a code for machines, what() a sentence for people.
class Refusal : public std::runtime_error {
 public:
  Refusal(std::string reason, const std::string& detail) : std::runtime_error(detail), reason_(std::move(reason)) {}
  const std::string& reason() const { return reason_; }

 private:
  std::string reason_;
};

}  // namespace hawser::config_push
