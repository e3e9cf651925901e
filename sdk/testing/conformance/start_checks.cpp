// Beginning to work, and the configuration.
#include <nlohmann/json.hpp>

#include "core/base/encoding.hpp"
#include "sdk/testing/conformance/stage.hpp"

namespace hawser::sdk::conformance {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kLongTextBytes = 64 * 1024;
constexpr int kDeep = 30, kApplyTimes = 10;

void starts(const Subject& subject) {
  Stage stage(subject);
  const hws_status status = stage.host.start(subject.config);
  require(status >= 0, "it answered " + std::to_string(status) +
                           (stage.host.refusal.empty() ? std::string(", without a word")
                                                       : ": " + printable(stage.host.refusal, kWhyBytesMax)));
}

void gets_ready(const Subject& subject) {
  Stage stage(subject);
  stage.start();
  stage.connect();
  const auto works = [&] { return stage.host.healthy(HWS_READY) || stage.host.healthy(HWS_DEGRADED); };
  require(stage.host.run_until(works, kReadyWithin), "it reported neither HWS_READY nor HWS_DEGRADED within " +
                                                         std::to_string(kReadyWithin.count() / 1000) +
                                                         " s of a working cloud");
}

void services(const Subject& subject) {
  if (!subject.manifest) skip("there is no valid manifest beside the library");
  Stage stage(subject);
  stage.good_run();
  for (const auto* opened : stage.host.opened()) {
    const auto& named = subject.manifest->services;
    const auto service =
        std::find_if(named.begin(), named.end(), [&](const auto& one) { return one.name == opened->service; });
    require(service != named.end(), "it opens " + printable(opened->service) + ", which the manifest does not name");
    require(std::count(service->protocols.begin(), service->protocols.end(), opened->protocol) != 0,
            "it opens " + opened->service + " with the protocol " + printable(opened->protocol) +
                ", which the manifest does not name");
  }
}

void later_host(const Subject& subject) {
  Stage stage(subject);
  stage.host.abi_minor = 99;
  if (!stage.host.load_library(subject.library.string())) fail("it refuses a host of ABI 1.99");
  require(stage.host.start(subject.config) >= 0,
          "it does not start on a host of ABI 1.99: " + printable(stage.host.refusal));
}

void empty_configuration(const Subject& subject) {
  Stage stage(subject);
  starts_or_says_why(stage, "{}");
}

// Every member of the configuration in use, with something in its place that nobody means.
std::vector<std::string> hostile_configurations(const std::string& config) {
  Json deep = 1;
  for (int i = 0; i < kDeep; ++i) deep = Json::array({deep});
  const Json strange[] = {nullptr,
                          -1,
                          1e300,
                          "",
                          std::string(kLongTextBytes, 'x'),
                          Json::array(),
                          Json::object(),
                          true,
                          deep,
                          "\xf0\x9f\x9a\xa2\x01\n"};
  const Json good = Json::parse(config, nullptr, false);
  std::vector<std::string> all;
  for (const auto& value : strange) {
    all.push_back(Json{{"no_such_member", value}}.dump());
    if (!good.is_object()) continue;
    for (const auto& [name, was] : good.items()) {
      Json changed = good;
      changed[name] = value;
      all.push_back(changed.dump());
    }
  }
  return all;
}

hws_status configure(Stage& stage, const std::string& config, bool apply) {
  const hws_status status = stage.host.configure(config, apply);
  stage.host.settle_down();
  const std::string about = " to the configuration " + printable(config);
  require(status == HWS_OK || status == HWS_RESTART_NEEDED || status == HWS_E_INVALID,
          "configure() answered " + std::to_string(status) + about);
  const std::string fault = status >= 0 ? "" : fault_of_sentence(stage.host.refusal, kWhyBytesMax);
  require(fault.empty(), "configure() refused, and wrote as the reason " + fault + "," + about);
  return status;
}

void refuses_in_words(const Subject& subject) {
  Stage stage(subject);
  stage.start();
  for (const auto& config : hostile_configurations(subject.config)) configure(stage, config, false);
  stage.alive("CHECK of strange configurations");
  if (subject.wrong_config)
    require(configure(stage, *subject.wrong_config, false) < 0,
            "it accepts the configuration that was given as a wrong one");
}

void check_agrees(const Subject& subject) {
  for (const auto& config : hostile_configurations(subject.config)) {
    Stage stage(subject);
    stage.start();
    const hws_status checked = stage.host.configure(config, false), applied = stage.host.configure(config, true);
    require((checked < 0) == (applied < 0),
            std::string(checked < 0 ? "CHECK refuses and APPLY takes " : "CHECK takes and APPLY refuses ") +
                printable(config));
  }
}

void check_has_no_effect(const Subject& subject) {
  Stage stage(subject);
  stage.start();
  stage.connect();
  stage.host.settle_down();
  auto& host = stage.host;
  const bool alone = count_threads() == 1;  // else its threads may be what does something
  const auto effects = host.effects.load();
  const std::size_t timers = host.timers(), watches = host.watches(), threads = count_threads(),
                    descriptors = count_descriptors();
  for (int i = 0; i < kApplyTimes; ++i) {
    for (const std::string& config : {subject.config, std::string("{}")}) {
      host.configure(config, false);
      host.settle_down();
    }
  }
  require(host.timers() == timers, "CHECK changed its timers");
  require(host.watches() == watches, "CHECK changed what it watches");
  require(!alone || count_threads() == threads, "CHECK started a thread");
  require(!alone || count_descriptors() == descriptors, "CHECK left a descriptor open");
  require(!alone || host.effects == effects,
          "CHECK made it call the host: post, timer, watch, open, send, put, health or a figure");
}

void apply_again(const Subject& subject) {
  Stage stage(subject);
  stage.good_run();
  const std::size_t timers = stage.host.timers(), watches = stage.host.watches(), threads = count_threads(),
                    descriptors = count_descriptors();
  for (int i = 0; i < kApplyTimes; ++i) {
    if (stage.host.configure(subject.config, true) < 0) fail("it refuses the configuration that it runs with");
    stage.run(Milliseconds(1000));
  }
  const std::string times = " after " + std::to_string(kApplyTimes) + " times of the same APPLY";
  require(stage.host.timers() < timers + kApplyTimes,
          "it has " + std::to_string(stage.host.timers()) + " timers instead of " + std::to_string(timers) + times);
  require(stage.host.watches() < watches + kApplyTimes, "it has more watches" + times);
  require(count_threads() < threads + kApplyTimes, "it has more threads" + times);
  require(count_descriptors() < descriptors + kApplyTimes, "it has more descriptors open" + times);
  stage.alive("APPLY of the same configuration");
}

constexpr Check kStartChecks[] = {
    {"starts", "table", "it starts with the given configuration", "plugin.h, hws_plugin.start",
     "Mend what its words say; give a configuration with --config where it needs one.", starts},
    {"ready", "starts", "it reports its health when it works", "plugin.h, hws_host.health",
     "Call health(HWS_READY) once it does its work, HWS_DEGRADED with a reason when in part.", gets_ready},
    {"services", "starts", "it opens what its manifest names", "plugin.h, hws_host_subconn.open",
     "Write service and protocol into `services` of manifest.json.", services},
    {"later-host", "starts", "it runs on a host of a later minor", "ABI.md, promise",
     "Ask with HWS_HAS for what you use, never for a host's exact minor or size.", later_host},
};

constexpr Check kConfigChecks[] = {
    {"empty-config", "table", "without a [config] it starts, or says in a sentence what it needs",
     "plugin.h, hws_plugin.configure",
     "Take defaults for what is not set; else answer HWS_E_INVALID and write the sentence to `why`.",
     empty_configuration},
    {"config-words", "starts", "what is wrong with a configuration is said in one sentence",
     "plugin.h, hws_plugin.configure",
     "Answer HWS_E_INVALID and write one line of at most 1 KiB to `why`; believe nothing of the text.",
     refuses_in_words},
    {"config-agrees", "starts", "CHECK refuses what APPLY would refuse, and nothing else",
     "plugin.h, hws_plugin.configure",
     "Read the configuration with one function for both, and keep the result only for APPLY.", check_agrees},
    {"config-check", "starts", "CHECK changes nothing", "plugin.h, hws_plugin.configure",
     "Act only when mode is HWS_CONFIG_APPLY.", check_has_no_effect},
    {"config-again", "starts", "the same configuration can be applied again", "plugin.h, hws_plugin.configure",
     "Cancel the timer, unwatch and close what the last APPLY made before making it again.", apply_again},
};

}  // namespace

std::span<const Check> start_checks() { return kStartChecks; }
std::span<const Check> config_checks() { return kConfigChecks; }

}  // namespace hawser::sdk::conformance
