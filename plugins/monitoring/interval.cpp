#include "interval.hpp"

#include <charconv>
#include <cstdint>
#include <nlohmann/json.hpp>

namespace hawser::monitoring {

namespace {

using Json = nlohmann::json;

const std::string kRule = "interval must be \"1s\" to \"1h\", or whole seconds from 1 to 3600, for example \"10s\"";

bool in_range(std::int64_t seconds) { return seconds >= kIntervalMin.count() && seconds <= kIntervalMax.count(); }

// 0: not of the form <number><s|m|h>
std::int64_t seconds_of(std::string_view text) {
  if (text.size() < 2 || text.size() > 6) return 0;
  const char unit = text.back();
  const std::int64_t factor = unit == 's' ? 1 : unit == 'm' ? 60 : unit == 'h' ? 3600 : 0;
  text.remove_suffix(1);
  std::int64_t number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc() || end != text.data() + text.size()) return 0;
  return number * factor;
}

// Of a JSON number: 0 when it is no whole one in range.
std::int64_t whole_seconds(const Json& value) {
  if (!value.is_number_integer() || value > kIntervalMax.count() || value < kIntervalMin.count()) return 0;
  return value.get<std::int64_t>();
}

}  // namespace

std::variant<std::chrono::seconds, std::string> interval_from_config(std::string_view text) {
  const Json config = Json::parse(text, nullptr, false);
  if (!config.is_object()) return std::string("the configuration is not a JSON object");
  for (const auto& [key, value] : config.items()) {
    if (key != "interval") return "there is no setting \"" + key + "\"; the only one is \"interval\"";
  }
  if (!config.contains("interval")) return kIntervalDefault;
  const Json& value = config.at("interval");
  const std::int64_t seconds =
      value.is_string() ? seconds_of(value.get_ref<const std::string&>()) : whole_seconds(value);
  if (!in_range(seconds))
    return kRule + ", not " + value.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 60);
  return std::chrono::seconds(seconds);
}

std::chrono::seconds interval_from_cloud(std::string_view text) {
  const Json message = Json::parse(text, nullptr, false);
  if (!message.is_object() || message.value("type", Json()) != "set_interval") return {};
  return std::chrono::seconds(whole_seconds(message.value("interval_s", Json())));
}

std::chrono::milliseconds until_next_sample(std::chrono::milliseconds now, std::chrono::seconds interval,
                                            std::string_view serial) {
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char c : serial) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  const std::int64_t period = std::chrono::milliseconds(interval).count();
  const auto phase = static_cast<std::int64_t>(hash % static_cast<std::uint64_t>(period));
  const std::int64_t into = ((now.count() - phase) % period + period) % period;
  return std::chrono::milliseconds(period - into);
}

}  // namespace hawser::monitoring
