#include "core/host/transport_gateway.hpp"

#include "core/host/grant.hpp"

namespace hawser::host {
namespace {

class TransportGateway : public Gateway {
 public:
  TransportGateway(transport::DialSettings settings, Waker& waker)
      : waker_(waker), dialer_(std::move(settings), waker) {}

  Result<transport::Upgrade> open(const Grant& grant, TimePoint deadline) override {
    auto stream = dialer_.dial(grant.origin, deadline);
    if (!stream) return stream.error();
    transport::UpgradeRequest request;
    request.origin = grant.origin;
    request.path = grant.path;
    request.protocol = grant.protocol;
    request.bearer = grant.token;
    request.message_bytes_max = grant.limits.message_bytes;
    return transport::upgrade(std::move(*stream), waker_, request, deadline);
  }

 private:
  Waker& waker_;
  transport::Dialer dialer_;
};

}  // namespace

GatewayMaker transport_gateway(std::string ca_file, std::chrono::system_clock::time_point validity_floor) {
  return [settings = transport::DialSettings{std::move(ca_file), validity_floor}](Waker& waker) {
    return std::make_unique<TransportGateway>(settings, waker);
  };
}

}  // namespace hawser::host
