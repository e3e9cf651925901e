#include "monitoring.hpp"

#include <string>

namespace hawser::monitoring {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::seconds;

Monitoring::Monitoring(sdk::Context& host, Outside outside, std::string version)
    : host_(host), outside_(outside), sampler_(std::move(outside), std::move(version)) {}

sdk::ConfigAnswer Monitoring::configure(std::string_view json, bool apply) {
  const auto read = interval_from_config(json);
  if (const auto* why = std::get_if<std::string>(&read)) return sdk::ConfigAnswer::refused(*why);
  if (apply) set_interval(std::get<seconds>(read));
  return sdk::ConfigAnswer::accepted();
}

void Monitoring::start() {
  cloud_ = &host_.open("monitoring", "hawser.monitoring.v1",
                       {.text = [this](std::string_view json) { from_cloud(json); },
                        .nacked =
                            [this](std::uint64_t, std::string_view code, std::string_view message) {
                              host_.warn("the cloud refused a sample", {{"code", code}, {"message", message}});
                            },
                        .writable = [this] { outbox_full_ = false; },
                        .resumed = [this](std::uint64_t) { sample_and_wait(); }},
                       {.outbox_bytes = kOutboxBytes});
  host_.health(HWS_READY);
}

void Monitoring::set_interval(seconds interval) {
  if (interval == interval_) return;
  interval_ = interval;
  if (cloud_) wait_for_next();
}

void Monitoring::from_cloud(std::string_view json) {
  const seconds interval = interval_from_cloud(json);
  if (interval == seconds(0)) {
    host_.debug("a text message from the cloud was ignored", {{"begins", json.substr(0, 120)}});
    return;
  }
  host_.info("the cloud set the interval", {{"interval_s", std::to_string(interval.count())}});
  interval_ = interval;
  sample_and_wait();  // "at once": the cloud need not wait for the old interval to end
}

void Monitoring::sample_and_wait() {
  sample();
  wait_for_next();
}

void Monitoring::wait_for_next() {
  host_.cancel(next_);
  const auto delay = until_next_sample(duration_cast<milliseconds>(outside_.now()), interval_,
                                       host_.fact("device.serial").value_or(""));
  next_ = host_.after(delay, [this] { sample_and_wait(); });
}

void Monitoring::sample() {
  const Identity identity{host_.fact("device.serial").value_or(""), host_.fact("device.hostname").value_or(""),
                          host_.fact("device.site").value_or("")};
  const std::string_view request = sampler_.sample(identity, dropped_);
  try {
    if (!cloud_->send_durable(sdk::to_bytes(request), HWS_COMPRESS)) drop();
  } catch (const sdk::Error& error) {  // longer than the grant allows: this sample is lost, the next may fit
    ++dropped_;
    host_.warn("a sample of " + std::to_string(request.size()) + " bytes was dropped", {{"reason", error.what()}});
  }
}

void Monitoring::drop() {
  ++dropped_;
  if (outbox_full_) return;  // said once for each time that it fills
  outbox_full_ = true;
  host_.warn("the outbox is full: new samples are dropped until the cloud acknowledges older ones",
             {{"dropped", std::to_string(dropped_)}});
}

}  // namespace hawser::monitoring
