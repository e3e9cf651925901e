#include "cloud/gateway/proxied_subconnection.hpp"

#include <spdlog/spdlog.h>

#include "core/base/encoding.hpp"

namespace hawser::cloud {
namespace {

constexpr std::size_t kWordsShownMax = 120;
constexpr int kNoClose = 1006;  // RFC 6455 §7.4.1: the connection ended without a Close
constexpr int kTryAgain = 1013;

// What may stand in a Close; the rest are words between an end and its own program.
bool can_be_sent(int code) {
  return code == 1000 || code == 1001 || (code >= 1007 && code <= 1013 && code != 1010) ||
         (code >= 4000 && code < 5000);
}

}  // namespace

// The microservice's side of the pair.
class ProxiedSubconnection::Upstream final : public Conversation {
 public:
  explicit Upstream(std::weak_ptr<ProxiedSubconnection> device) : device_(std::move(device)) {}

  std::size_t message_bytes_max() const override {
    const auto device = device_.lock();
    return device ? device->message_bytes_max() : 0;
  }
  bool is_behind() const override {
    const auto device = device_.lock();
    return device && device->peer_.queued_bytes() > kBehindBytes;
  }
  void on_open() override {
    if (const auto device = device_.lock()) device->upstream_open();
  }
  void on_text(std::string_view text) override {
    if (const auto device = device_.lock()) device->peer_.send_text(std::string(text));
  }
  void on_binary(std::string_view bytes) override {
    if (const auto device = device_.lock()) device->peer_.send_binary(std::string(bytes));
  }
  void on_closed(int code, std::string_view words) override {
    if (const auto device = device_.lock()) device->upstream_closed(code, words);
  }

 private:
  std::weak_ptr<ProxiedSubconnection> device_;  // its Peer lives as long as it
};

std::size_t ProxiedSubconnection::message_bytes_max() const {
  return static_cast<std::size_t>(hub_.settings().max_message_bytes);
}

void ProxiedSubconnection::on_open() {
  hub_.entered(shared_from_this());
  DialOrder order{to_, token_.protocol, {}};
  order.headers = {{"Hawser-Serial", token_.serial},
                   {"Hawser-Service", token_.service},
                   {"Hawser-Plugin", token_.plugin},
                   {"Hawser-Plugin-Digest", token_.digest},
                   {"Hawser-Address", peer_.address()}};
  if (!to_.key.empty()) order.headers.emplace_back("Authorization", "Bearer " + to_.key);
  upstream_ = hub_.dial(std::move(order), std::make_shared<Upstream>(weak_from_this()));
  store_changed();  // what an operator did while the upgrade was answered
}

void ProxiedSubconnection::on_text(std::string_view text) {
  if (ended_.empty()) upstream_->send_text(std::string(text));
}

void ProxiedSubconnection::on_binary(std::string_view bytes) {
  if (ended_.empty()) upstream_->send_binary(std::string(bytes));
}

void ProxiedSubconnection::upstream_open() {
  if (gone_) return;
  spdlog::info("{}/{} is with its microservice at {}:{}", serial(), service(), to_.host, to_.port);
  hub_.store().note_link(serial(), token_.generation, {service(), true, hub_.now().wall, peer_.address(), 0, "", ""},
                         true);
}

void ProxiedSubconnection::upstream_closed(int code, std::string_view words) {
  if (gone_ || !ended_.empty()) return;
  spdlog::warn("{}/{}: its microservice at {}:{} ended it: {} {}", serial(), service(), to_.host, to_.port, code,
               printable(words, kWordsShownMax));
  if (!can_be_sent(code))
    return end(code == kNoClose ? kTryAgain : 1011, code == kNoClose ? "try_again" : "server_error");
  end(code, std::string(words));
}

// Where its microservice is another now, or gone, the device dials again, or hears that the service is not here.
void ProxiedSubconnection::settings_changed() {
  const auto* now = hub_.vendor_microservice(service());
  if (!now || *now != to_) end(1012, "restarting");
}

void ProxiedSubconnection::store_changed() {
  if (!ended_.empty()) return;
  const auto device = hub_.store().device(serial());
  if (!device || device->generation != token_.generation) return end(4003, "device_removed");
  if (device->blocked) return end(4001, "token_withdrawn");
}

void ProxiedSubconnection::tick(Now now) {
  if ((now.mono - peer_.last_inbound_ms()) * 2 > hub_.settings().grant_ping_s * 5000LL) end(4008, "hang_up");
}

void ProxiedSubconnection::end(int code, const std::string& reason) {
  if (!ended_.empty()) return;
  ended_ = reason.empty() ? reason_of_close(code, "") : printable(reason, kWordsShownMax);
  peer_.close(code, reason);
  if (upstream_) upstream_->close(can_be_sent(code) ? code : 1001, reason);
}

void ProxiedSubconnection::on_closed(int code, std::string_view words) {
  gone_ = true;
  hub_.left(*this);
  if (upstream_) upstream_->close(can_be_sent(code) ? code : 1001, words);
  const std::string reason = ended_.empty() ? reason_of_close(code, words) : ended_;
  spdlog::info("{}/{} disconnected: {} (close code {})", serial(), service(), reason, code);
  hub_.store().note_link(serial(), token_.generation,
                         {service(), false, hub_.now().wall, peer_.address(), code, reason, ""}, ended_ != "replaced");
}

}  // namespace hawser::cloud
