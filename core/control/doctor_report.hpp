#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "core/base/json.hpp"
#include "core/base/waker.hpp"

// What `hawserctl doctor` finds, step by step. One thread.
namespace hawser::control {

enum class Found { Ok, Warning, Failed, Skipped };

struct DoctorStep {
  std::string group;    // what is looked at: "This device", "Server a.example:19443", ...
  std::string address;  // the one that was tried; empty where the step is about none
  std::string name;     // DNS, route, TCP, proxy, TLS, ...
  Found found = Found::Ok;
  std::string detail;  // what was seen
  std::string code;    // a reason of sdk/protocol.md §7, where it failed
  std::string advice;  // what to do; of the reason where it is empty
  milliseconds took{0};
};

// What a person can do about a reason; empty for an unknown one.
std::string advice_for(const std::string& code);

class DoctorReport {
 public:
  // `print` gets each step's lines as soon as the step is over; may be empty.
  explicit DoctorReport(std::function<void(const std::string&)> print) : print_(std::move(print)) {}

  void begin(const std::string& group) { group_ = group; }  // the next steps are about this
  void add(DoctorStep step);                                // `group` is filled in here
  // A failure, or what `seen` says, with the time since `began`. Gives whether it went well. `advice`: of a failure,
  // where the one of its reason does not fit.
  bool add(const std::string& name, const std::string& address, TimePoint began, const Status& status,
           const std::string& seen, const std::string& advice = "");

  std::size_t failures() const { return failures_; }
  std::string closing_line() const;
  json::Object to_json() const;

 private:
  std::string text_of(const DoctorStep& step);

  std::function<void(const std::string&)> print_;
  std::string group_, shown_group_;
  std::vector<DoctorStep> steps_;
  std::size_t failures_ = 0, warnings_ = 0, skipped_ = 0;
};

}  // namespace hawser::control
