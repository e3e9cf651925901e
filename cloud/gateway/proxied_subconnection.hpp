#pragma once

#include <memory>
#include <string>

#include "cloud/gateway/hub.hpp"
#include "cloud/gateway/service_session.hpp"

namespace hawser::cloud {

// A subconnection whose other end is a vendor's microservice: what the device says is passed on to a WebSocket there, and
// back, message for message (sdk/protocol.md §5, whose cloud the microservice is). The gateway has checked the grant and
// tells in the request who the device is. Shared by hub and server; the hub's thread.
class ProxiedSubconnection final : public ServiceSession, public std::enable_shared_from_this<ProxiedSubconnection> {
 public:
  ProxiedSubconnection(Hub& hub, Peer& peer, TokenRecord token, const VendorMicroservice& to)
      : ServiceSession(std::move(token)), hub_(hub), peer_(peer), to_(to) {}

  static constexpr std::size_t kBehindBytes = 4 << 20;  // queued at one end: then the other is not read

  std::size_t message_bytes_max() const override;
  bool is_behind() const override { return upstream_ && upstream_->queued_bytes() > kBehindBytes; }
  void on_open() override;
  void on_text(std::string_view text) override;
  void on_binary(std::string_view bytes) override;
  void on_closed(int code, std::string_view words) override;

  void tick(Now now) override;
  void settings_changed() override;
  void store_changed() override;
  void end(int code, const std::string& reason) override;

 private:
  class Upstream;
  void upstream_open();
  void upstream_closed(int code, std::string_view words);

  Hub& hub_;
  Peer& peer_;
  const VendorMicroservice to_;
  std::shared_ptr<Peer> upstream_;
  bool gone_ = false;  // the device is
  std::string ended_;
};

}  // namespace hawser::cloud
