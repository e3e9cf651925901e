#include "core/daemon/reloader.hpp"

#include <system_error>
#include <utility>

#include "core/base/log.hpp"
#include "core/base/quiet_thread.hpp"
#include "core/daemon/config_changes.hpp"

namespace hawser::daemon {
namespace {

constexpr milliseconds kPostRetry{10};

std::string joined(const std::vector<std::string>& parts, const char* between) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : between) + part;
  return text;
}

}  // namespace

Reloader::~Reloader() {
  ending_ = true;
  if (reading_.joinable()) reading_.join();
}

void Reloader::reload(Done done) {
  asked_.push_back(std::move(done));
  if (answered_next_.empty()) begin();
}

// The thread's door: no exception passes.
config::LoadResult Reloader::read() const {
  try {
    return load_();
  } catch (const std::exception& problem) {
    return {std::nullopt, {std::string("the configuration cannot be read: ") + problem.what()}, {}};
  }
}

void Reloader::begin() {
  answered_next_ = std::exchange(asked_, {});
  try {
    reading_ = start_quietly([this] {
      auto loaded = std::make_shared<config::LoadResult>(read());
      while (!ending_ && !loop_.post([this, loaded] { finish(std::move(*loaded)); }))
        std::this_thread::sleep_for(kPostRetry);  // the loop has thousands of tasks before it
    });
  } catch (const std::system_error& problem) {  // the system has no thread to spare
    const std::string fault = std::string("the configuration cannot be read now: ") + problem.what();
    loop_.after(milliseconds(0), [this, fault] { finish({std::nullopt, {fault}, {}}); });
  }
}

void Reloader::finish(config::LoadResult loaded) {
  if (reading_.joinable()) reading_.join();
  const auto waiting = std::exchange(answered_next_, {});
  const auto result = take(std::move(loaded));
  for (const auto& done : waiting) done(result);
  if (!asked_.empty()) begin();
}

void Reloader::set_layer(config::Settings local, Layer layer) {
  local_ = std::move(local);
  layer_ = std::move(layer);
}

std::vector<std::string> Reloader::layer_again() { return adopt(layer_(local_)); }

std::vector<std::string> Reloader::adopt(config::Settings fresh) {
  auto changed = changed_keys(settings_, fresh);
  const config::Settings before = std::exchange(settings_, std::move(fresh));
  if (!changed.empty()) apply_(before);
  return changed;
}

Result<json::Object> Reloader::take(config::LoadResult loaded) {
  for (const auto& warning : loaded.warnings) spdlog::warn("configuration: {}", warning);
  if (!loaded.settings) {
    for (const auto& fault : loaded.faults) spdlog::error("configuration: {}", fault);
    const std::string more =
        loaded.faults.size() > 1 ? " (and " + std::to_string(loaded.faults.size() - 1) + " more)" : "";
    const std::string all = joined(loaded.faults, "\n");
    const bool news = all != refused_;  // who asks a hundred times is answered, but it is one event
    refused_ = all;
    if (news) tell_({"config", "", "bad_config", "the old one goes on running: " + loaded.faults.front() + more});
    return Error{"bad_config", all};
  }
  refused_.clear();
  if (loaded.settings->serial != settings_.serial) {
    loaded.warnings.push_back("device.serial: another serial number is taken when hawserd is started again");
    loaded.settings->serial = settings_.serial;
  }
  if (layer_) local_ = *loaded.settings;
  const auto changed = adopt(layer_ ? layer_(local_) : std::move(*loaded.settings));
  spdlog::info("configuration read anew: {}", changed.empty() ? "nothing changed" : joined(changed, ", "));
  if (!changed.empty()) tell_({"config", "", "", "changed: " + joined(changed, ", ")});
  auto keys = json::make_array(), warnings = json::make_array();
  for (const auto& key : changed) keys->add(key);
  for (const auto& warning : loaded.warnings) warnings->add(warning);
  auto answer = json::make_object();
  answer->set("changed", keys);
  answer->set("warnings", warnings);
  return answer;
}

}  // namespace hawser::daemon
