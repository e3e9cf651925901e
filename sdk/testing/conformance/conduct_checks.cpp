// How it behaves while all goes well: threads, descriptors, log, health and figures.
#include <fcntl.h>

#include <fstream>

#include "core/base/encoding.hpp"
#include "core/config/plugin_limits.hpp"
#include "sdk/testing/conformance/stage.hpp"

namespace hawser::sdk::conformance {
namespace {

using config::PluginLimits;

constexpr std::size_t kHostsOwnThreads = 2;  // control and service thread; and one for each subconnection
constexpr std::size_t kKibibyte = 1024;

// What the manifest asks for, else what holds where nobody says anything.
std::int64_t limit(const Subject& subject, std::optional<std::int64_t> PluginLimits::*member) {
  if (subject.manifest && subject.manifest->limits.*member) return *(subject.manifest->limits.*member);
  for (const auto& row : config::kLimitRows) {
    if (row.member == member) return row.usual;
  }
  return 0;
}

std::size_t resident_bytes() {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

void budget(const Subject& subject) {
  Stage stage(subject);
  stage.good_run();
  const auto longest = stage.host.longest_callback();
  require(longest <= kCallbackMs, stage.host.longest_callback_name() + " took " + std::to_string(longest.count()) +
                                      " ms, " + std::to_string(kCallbackMs.count()) + " ms are allowed");
}

void thread_rule(const Subject& subject) {
  Stage stage(subject);
  stage.good_run();
  const std::string misuse = stage.misuse("service thread");
  require(misuse.empty(), misuse);
}

void arguments(const Subject& subject) {
  Stage stage(subject);
  stage.good_run();
  for (const auto& misuse : stage.host.misuses)
    require(misuse.find("E_INVALID") == misuse.npos || misuse.starts_with("metric"), misuse);
}

void figures(const Subject& subject) {
  Stage stage(subject);
  stage.good_run();
  const std::string misuse = stage.misuse("metric()");
  require(misuse.empty(), misuse);
}

void no_errors(const Subject& subject) {
  Stage stage(subject);
  stage.good_run();
  for (const auto& line : stage.host.logs)
    require(line.level < HWS_LOG_ERROR, "it logged at error: " + printable(line.message));
  require(stage.host.errors.empty(),
          "it called error(): " + (stage.host.errors.empty() ? "" : printable(stage.host.errors.front())));
}

void log_rate(const Subject& subject) {
  Stage stage(subject);
  stage.good_run();
  const auto most = static_cast<std::size_t>(limit(subject, &PluginLimits::log_lines));
  require(stage.most_lines_in_a_second() <= most, "it logged " + std::to_string(stage.most_lines_in_a_second()) +
                                                      " lines in a second, " + std::to_string(most) + " are allowed");
}

void log_form(const Subject& subject) {
  constexpr std::size_t kMessageMax = 4 * kKibibyte, kFieldsMax = 16, kValueMax = 256;
  Stage stage(subject);
  stage.good_run();
  for (const auto& line : stage.host.logs) {
    const std::string about = ": " + printable(line.message);
    require(line.level >= HWS_LOG_DEBUG && line.level <= HWS_LOG_MISBEHAVING,
            "there is no level " + std::to_string(line.level) + about);
    require(!line.message.empty() && line.message.size() <= kMessageMax && is_utf8(line.message),
            "a line is empty, longer than 4 KiB or no UTF-8" + about);
    require(line.fields.size() <= kFieldsMax, "a line has more than 16 pairs" + about);
    for (const auto& [key, value] : line.fields)
      require(!key.empty() && is_utf8(key) && value.size() <= kValueMax && is_utf8(value),
              "a pair has no key, more than 256 bytes or is no UTF-8" + about);
  }
}

void health_form(const Subject& subject) {
  Stage stage(subject);
  stage.good_run();
  stage.stop();
  for (const auto& [state, detail] : stage.host.health) {
    require(state >= HWS_READY && state <= HWS_FAULTED, "there is no state " + std::to_string(state));
    const std::string fault =
        detail.empty() && (state == HWS_READY || state == HWS_STOPPED) ? "" : fault_of_sentence(detail, kWhyBytesMax);
    require(fault.empty(), "the detail of health state " + std::to_string(state) + " has " + fault);
  }
}

void watches(const Subject& subject) {
  Stage stage(subject);
  stage.good_run();
  for (const int fd : stage.host.watched())
    require(::fcntl(fd, F_GETFD) >= 0, "it watches descriptor " + std::to_string(fd) + ", which is closed");
}

void threads(const Subject& subject) {
  Stage stage(subject);
  stage.good_run();
  const std::size_t all = count_threads() - 1 + kHostsOwnThreads + stage.host.opened().size();
  const auto most = static_cast<std::size_t>(limit(subject, &PluginLimits::threads));
  require(all <= most, "with the host's own there are " + std::to_string(all) + " threads, " + std::to_string(most) +
                           " are allowed");
}

void descriptors(const Subject& subject) {
  const std::size_t before = count_descriptors();
  Stage stage(subject);
  stage.good_run();
  const std::size_t opened = count_descriptors() - before;
  const auto most = static_cast<std::size_t>(limit(subject, &PluginLimits::descriptors));
  require(opened <= most / 2, "it has " + std::to_string(opened) + " descriptors open; the limit is " +
                                  std::to_string(most) + " with those of the host");
}

void memory(const Subject& subject) {
  const std::size_t before = resident_bytes();
  Stage stage(subject);
  stage.good_run();
  const std::size_t now = resident_bytes(), grown = now > before ? now - before : 0;
  const auto most = static_cast<std::size_t>(limit(subject, &PluginLimits::memory_bytes));
  require(grown <= most, "it takes " + std::to_string(grown / kKibibyte) + " KiB, " + std::to_string(most / kKibibyte) +
                             " KiB are allowed");
}

constexpr Check kChecks[] = {
    {"budget", "starts", "no callback takes longer than 250 ms", "plugin.h R6",
     "Do long work in pieces with post(), or on a thread of your own; never wait in a callback.", budget},
    {"thread-rule", "starts", "SVC functions are called on the service thread only", "plugin.h R6",
     "From a thread of your own call post(), and there the function.", thread_rule},
    {"arguments", "starts", "the host is called with what it can take", "plugin.h, HWS_E_INVALID",
     "Look at the function's comment in plugin.h.", arguments},
    {"figures", "starts", "its own figures have valid names, units and values, and are at most 64",
     "plugin.h, hws_host_metrics.set", "Use a-z 0-9 _ . in names and a few attributes with few values.", figures},
    {"no-errors", "starts", "nothing is logged at error while all goes well", "an operator looks at every such line",
     "Log at info or debug what needs nobody.", no_errors},
    {"log-rate", "starts", "it stays within its log lines a second", "manifest, limits.log_lines",
     "Count, and log the sum now and then; what is above the limit is dropped.", log_rate},
    {"log-form", "starts", "log lines are UTF-8 and not cut", "plugin.h, hws_host.log",
     "Shorten or escape what comes from outside before you log it.", log_form},
    {"health-form", "stops", "health is told with a state and, where it is not good, a sentence",
     "plugin.h, hws_host.health", "Say in `detail` what is missing and what to do.", health_form},
    {"watches", "starts", "what it watches is open", "plugin.h, hws_host.watch", "Call unwatch() before close().",
     watches},
    {"threads", "starts", "it stays within its threads", "manifest, limits.threads",
     "Ask for more in `limits`, or start fewer.", threads},
    {"descriptors", "starts", "it takes at most half of its descriptors", "manifest, limits.descriptors",
     "Ask for more in `limits`, or keep fewer open.", descriptors},
    {"memory", "starts", "it stays within its memory", "manifest, limits.memory_bytes",
     "Ask for more in `limits`, or keep less.", memory},
};

}  // namespace

std::span<const Check> conduct_checks() { return kChecks; }

}  // namespace hawser::sdk::conformance
