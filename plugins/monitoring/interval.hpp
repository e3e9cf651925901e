#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <variant>

namespace hawser::monitoring {

inline constexpr std::chrono::seconds kIntervalDefault{10};
inline constexpr std::chrono::seconds kIntervalMin{1};
inline constexpr std::chrono::seconds kIntervalMax{3600};

// Reads the configuration {"interval": "10s" | "5m" | "1h" | whole seconds}. The interval, or one sentence for the
// operator.
std::variant<std::chrono::seconds, std::string> interval_from_config(std::string_view json);

// Reads the cloud's {"type":"set_interval","interval_s":N}. Nothing (0 s) when it is something else or out of range.
std::chrono::seconds interval_from_cloud(std::string_view json);

// How long until the next sample: samples lie at multiples of the interval plus a part of it that is fixed for the
// device, so that a fleet does not report in the same instant and one device's samples are evenly spaced.
std::chrono::milliseconds until_next_sample(std::chrono::milliseconds now, std::chrono::seconds interval,
                                            std::string_view serial);

}  // namespace hawser::monitoring
