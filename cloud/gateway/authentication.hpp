#pragma once

#include "cloud/api/settings.hpp"
#include "cloud/gateway/admission.hpp"
#include "cloud/gateway/clock.hpp"
#include "cloud/gateway/http.hpp"
#include "cloud/gateway/nonces.hpp"
#include "cloud/gateway/proof.hpp"
#include "cloud/gateway/rate_limit.hpp"
#include "cloud/store/store.hpp"

namespace hawser::cloud {

// POST /hawser/v1/auth, sdk/protocol.md §2. Owned by the hub, on its thread.
class Authentication {
 public:
  static constexpr Millis kEnrolmentWindow = 7LL * 24 * 3600 * 1000;
  static constexpr int kFailuresPerSerial = 10;  // from one address in ten minutes
  static constexpr int kFailuresPerAddress = 200;

  Authentication(const Settings& settings, Store& store, Nonces& nonces, Admission& admission, Share& share)
      : settings_(settings), store_(store), nonces_(nonces), admission_(admission), share_(share) {}

  Response answer(const Request& request, Now now);

 private:
  struct Claim {
    std::string serial, model, agent;
  };
  struct Refused {
    const char* code;
    std::string message;
  };
  Response check_proof(const Request& request, const Claim& claim, const std::string& compact, Now now);
  std::optional<Refused> judge(const Claim& claim, const Result<Proof>& proof, bool signature_good,
                               const std::optional<DeviceRecord>& device, Now now) const;
  std::optional<Refused> judge_password(const Proof& proof, const DeviceRecord& device) const;
  Response grant(const DeviceRecord& device, const Claim& claim, const Proof& proof, Now now);

  const Settings& settings_;
  Store& store_;
  Nonces& nonces_;
  Admission& admission_;
  Share& share_;
  FailureCounter failures_;
};

}  // namespace hawser::cloud
