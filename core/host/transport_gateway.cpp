#include "core/host/transport_gateway.hpp"

#include "core/host/grant.hpp"

namespace hawser::host {
namespace {

class TransportGateway : public Gateway {
 public:
  TransportGateway(transport::DialSettings settings, std::shared_ptr<const ValidityFloor> floor, Waker& waker)
      : waker_(waker), floor_(std::move(floor)), dialer_(std::move(settings), waker) {}

  Result<transport::Upgrade> open(const Grant& grant, TimePoint deadline) override {
    dialer_.set_validity_floor(floor_->get());
    auto stream = dialer_.dial(grant.origin, deadline, {}, grant.binding);
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
  const std::shared_ptr<const ValidityFloor> floor_;
  transport::Dialer dialer_;
};

}  // namespace

GatewayMaker transport_gateway(const Setup& setup) {
  return [settings = transport::DialSettings{setup.ca_file, setup.validity_floor->get(), setup.proxy},
          floor = setup.validity_floor](Waker& waker) {
    return std::make_unique<TransportGateway>(settings, floor, waker);
  };
}

}  // namespace hawser::host
