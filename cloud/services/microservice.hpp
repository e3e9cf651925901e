#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cloud/gateway/clock.hpp"
#include "cloud/store/records.hpp"
#include "core/base/result.hpp"

namespace hawser::cloud {

// The cloud's end of one service: decides what a payload means. Stateless; lives on the gateway's thread.
class Microservice {
 public:
  virtual ~Microservice() = default;
  virtual std::string service() const = 0;
  virtual std::string protocol() const = 0;
  // What the store shall do together with the number; an Error becomes the nack's code and message.
  virtual Result<Effect> receive(const std::string& serial, std::string_view payload, Now now) const = 0;
  // What a nack of the device says of a message that was sent to it, where that is to be noted.
  virtual std::optional<ConfigStatus> refused(std::string_view /*payload*/, const std::string& /*code*/,
                                              const std::string& /*why*/) const {
    return std::nullopt;
  }
};

// monitoring, log_upload, config_push.
std::vector<std::unique_ptr<Microservice>> first_services();
std::unique_ptr<Microservice> make_monitoring();
std::unique_ptr<Microservice> make_log_upload();
std::unique_ptr<Microservice> make_config_push();

}  // namespace hawser::cloud
