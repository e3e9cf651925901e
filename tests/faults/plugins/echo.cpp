// A healthy plugin that feels what others do: every period it sends one best-effort message, which the cloud returns as
// it is, and it notes how long that took, and how late its timer ran. {"type":"figures"} from the cloud is answered with
// the figures since the last one. With "echo": false it only ticks.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <hawser/plugin.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace sdk = hawser::sdk;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t kSamplesMax = 1'000'000;  // hours at 100 a second; further ones are not noted
constexpr std::size_t kUnderWayMax = 100'000;
constexpr std::chrono::milliseconds kLostAfter{1000};  // under way for longer when a report is due: lost
constexpr std::chrono::microseconds kTickLate{5000};   // half of the usual period

std::int64_t microseconds(Clock::duration time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time).count();
}

// The sample below which this share of all lie; 0 when there is none.
std::int64_t quantile(std::vector<std::int64_t>& samples, double share) {
  if (samples.empty()) return 0;
  const auto rank = static_cast<std::size_t>(share * static_cast<double>(samples.size() - 1));
  std::nth_element(samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(rank), samples.end());
  return samples[rank];
}

}  // namespace

class Echo {
 public:
  static constexpr const char* kId = HAWSER_PLUGIN_ID;
  static constexpr const char* kVersion = HAWSER_PLUGIN_VERSION;
  explicit Echo(sdk::Context& host) : host_(host) {}

  sdk::ConfigAnswer configure(std::string_view json, bool apply) {
    const auto config = nlohmann::json::parse(json);
    const int period_ms = config.value("period_ms", 10);
    if (period_ms < 1) return sdk::ConfigAnswer::refused("period_ms must be 1 or more");
    if (!apply) return {};
    period_ = sdk::Milliseconds(period_ms);
    echo_ = config.value("echo", true);
    return {};
  }

  void start() {
    cloud_ = &host_.open(GALLERY_SERVICE, "acme." GALLERY_SERVICE ".v1",
                         {.opened = [this](std::string_view) { open_ = true; },
                          .text = [this](std::string_view json) { on_text(json); },
                          .message = [this](sdk::Bytes data) { on_echo(data); },
                          .closed = [this](auto, auto, auto) { open_ = false; }});
    began_ = due_ = Clock::now();
    host_.every(period_, [this] { tick(); });
    host_.health(HWS_READY);
  }

 private:
  void tick() {
    const auto now = Clock::now();
    due_ += period_;
    const auto late = now - due_;
    if (late > kTickLate) ++late_ticks_;
    if (late > period_) due_ = now;  // what was missed is missed, and not late for ever
    latest_tick_ = std::max(latest_tick_, microseconds(late));
    ++ticks_;
    if (!echo_ || !open_) return;
    const std::uint64_t number = ++number_;
    const auto sent = cloud_->send(sdk::to_bytes(&number, sizeof number));
    if (sent != sdk::Send::queued) {
      ++refused_;
    } else if (under_way_.size() < kUnderWayMax) {
      under_way_[number] = now;
      ++sent_;
    }
  }

  void on_echo(sdk::Bytes data) {
    std::uint64_t number = 0;
    if (data.size() != sizeof number) return;
    std::memcpy(&number, data.data(), sizeof number);
    const auto found = under_way_.find(number);
    if (found == under_way_.end()) return;
    if (samples_.size() < kSamplesMax) samples_.push_back(microseconds(Clock::now() - found->second));
    under_way_.erase(found);
  }

  void on_text(std::string_view json) {
    const auto asked = nlohmann::json::parse(json, nullptr, false);
    if (!asked.is_object() || asked.value("type", "") != "figures") return;
    const auto now = Clock::now();
    const auto lost = std::erase_if(under_way_, [&](const auto& each) { return now - each.second > kLostAfter; });
    const auto all = samples_.size();
    const std::int64_t longest = samples_.empty() ? 0 : *std::max_element(samples_.begin(), samples_.end());
    const nlohmann::json report = {{"type", "figures"},
                                   {"id", asked.value("id", 0)},
                                   {"sent", sent_},
                                   {"received", all},
                                   {"refused", refused_},
                                   {"lost", lost},
                                   {"median_us", quantile(samples_, 0.5)},
                                   {"p99_us", quantile(samples_, 0.99)},
                                   {"longest_us", longest},
                                   {"ticks", ticks_},
                                   {"ticks_due", microseconds(now - began_) / microseconds(period_)},
                                   {"late_ticks", late_ticks_},
                                   {"latest_tick_us", latest_tick_}};
    samples_.clear();
    sent_ = refused_ = ticks_ = late_ticks_ = 0;
    latest_tick_ = 0;
    began_ = now;
    cloud_->send_text(report.dump());
  }

  sdk::Context& host_;
  sdk::Milliseconds period_{10};
  bool echo_ = true, open_ = false;
  sdk::Subconnection* cloud_ = nullptr;
  Clock::time_point began_, due_;
  std::map<std::uint64_t, Clock::time_point> under_way_;
  std::vector<std::int64_t> samples_;
  std::uint64_t number_ = 0, sent_ = 0, refused_ = 0, ticks_ = 0, late_ticks_ = 0;
  std::int64_t latest_tick_ = 0;
};
HAWSER_PLUGIN(Echo)
