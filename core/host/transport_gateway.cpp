#include "core/host/transport_gateway.hpp"

#include <algorithm>
#include <array>

#include "core/host/grant.hpp"

namespace hawser::host {
namespace {

// Or of a gateway, or of something else that stands at one of the cloud's addresses (sdk/protocol.md §5 names the rest).
bool is_of_a_cloud(const Result<transport::Upgrade>& upgraded) {
  if (!upgraded) return upgraded.error().code != "bad_response" && upgraded.error().code != "upgrade_refused";
  constexpr std::array kAnswers = {401, 403, 404, 429, 503};
  return upgraded->socket || std::find(kAnswers.begin(), kAnswers.end(), upgraded->answer.status) != kAnswers.end();
}

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
    auto upgraded = transport::upgrade(std::move(*stream), waker_, request, deadline);
    if (!is_of_a_cloud(upgraded)) dialer_.distrust_last();
    return upgraded;
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
