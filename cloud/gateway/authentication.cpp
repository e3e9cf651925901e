#include "cloud/gateway/authentication.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "cloud/gateway/tokens.hpp"

namespace hawser::cloud {

Response Authentication::answer(const Request& request, Now now) {
  const auto body = parse_strict(request.body);
  if (!body) return refusal(400, "bad_request", "body: " + body.error().message);
  try {
    Claim claim{text_of(*body, "serial", 1, 64), text_of(*body, "model", 0), text_of(*body, "agent")};
    if (!is_serial(claim.serial)) throw SchemaFault("serial has other characters than A-Z a-z 0-9 . _ -");
    if (!body->contains("proof")) return refusal(401, "nonce_required", "send a proof over the nonce of Hawser-Nonce");
    if (!(*body)["proof"].is_string()) throw SchemaFault("proof is not a string");
    return check_proof(request, claim, (*body)["proof"].get<std::string>(), now);
  } catch (const SchemaFault& fault) {
    return refusal(400, "bad_request", fault.what());
  }
}

Response Authentication::check_proof(const Request& request, const Claim& claim, const std::string& compact, Now now) {
  const ParsedProof parsed = parse_proof(compact);
  const bool fresh = nonces_.spend(parsed.nonce, now.mono);
  if (parsed.proof && !fresh)
    return refusal(401, "nonce_required", "the nonce is unknown, spent or older than five minutes");

  const bool signature_good = parsed.proof && verify_signature(*parsed.proof);
  const auto device = store_.device(claim.serial);
  // Proofs by the bound key are counted on their own, so that others' failures never shut the owner out.
  const bool owner = signature_good && device && device->key_thumbprint == parsed.proof->thumbprint;
  const std::string by_address = (owner ? "owner " + claim.serial + " " : "address ") + request.address;
  const std::string by_serial = (owner ? "owner-serial " : "serial ") + claim.serial + " " + request.address;
  std::int64_t left = 0;
  if (failures_.count(by_serial, now.mono, left) >= kFailuresPerSerial ||
      failures_.count(by_address, now.mono, left) >= kFailuresPerAddress)
    return refusal(429, "too_many_requests", "too many refused proofs; wait",
                   static_cast<int>(std::clamp<std::int64_t>(left / 1000 + 1, 1, 3600)));

  const auto refused = judge(claim, parsed.proof, signature_good, device, now);
  if (!refused) {
    if (const int wait = share_.wait_s(claim.serial, settings_.admissions_per_second, now.mono); wait > 0)
      return refusal(429, "too_many_requests", "this device comes in too often", wait);
    if (const int wait = admission_.wait_s(settings_.admissions_per_second, now.mono); wait > 0)
      return refusal(503, "unavailable", "more devices come back than are let in at once", wait);
    return grant(*device, claim, *parsed.proof, now);
  }
  failures_.add(by_serial, now.mono);
  failures_.add(by_address, now.mono);
  spdlog::info("authentication of {} from {} refused: {}, {}", claim.serial, request.address, refused->code,
               refused->message);
  return refusal(403, refused->code, refused->message);
}

// In the order of §2. hardware_incompatible is not among them: this cloud takes every model.
std::optional<Authentication::Refused> Authentication::judge(const Claim& claim, const Result<Proof>& proof,
                                                             bool signature_good,
                                                             const std::optional<DeviceRecord>& device, Now now) const {
  if (!proof) return Refused{"proof_invalid", proof.error().message};
  if (proof->serial != claim.serial) return Refused{"proof_invalid", "the proof is for another serial"};
  if (std::find(settings_.names.begin(), settings_.names.end(), proof->aud) == settings_.names.end())
    return Refused{"proof_invalid", "aud is no name of this cloud"};
  if (!signature_good) return Refused{"proof_invalid", "the signature does not verify"};
  if (!device) return Refused{"unknown_serial", "this serial was not added to the cloud"};
  if (device->blocked) return Refused{"device_blocked", "an operator blocked this device"};
  if (device->key_thumbprint.empty() && now.wall > device->added_at + kEnrolmentWindow)
    return Refused{"enrolment_closed", "added more than 7 days ago and never seen; add it anew"};
  if (!device->key_thumbprint.empty() && device->key_thumbprint != proof->thumbprint)
    return Refused{"key_mismatch", "the serial is bound to another device key; unbind it first"};
  return judge_password(*proof, *device);
}

std::optional<Authentication::Refused> Authentication::judge_password(const Proof& proof,
                                                                      const DeviceRecord& device) const {
  if (!device.password_set) return std::nullopt;
  if (!proof.pwd) return Refused{"password_required", "the operator set a password for this device"};
  const auto password = store_.password(device.serial);
  if (password && !password_matches(proof, *password)) return Refused{"password_wrong", "the password is another one"};
  return std::nullopt;
}

Response Authentication::grant(const DeviceRecord& device, const Claim& claim, const Proof& proof, Now now) {
  const bool is_new = device.key_thumbprint.empty();
  if (is_new && !store_.bind(device.serial, proof.thumbprint, now.wall))
    return refusal(403, "key_mismatch", "another device key was quicker");
  if (is_new) spdlog::info("{} is now bound to the key {}", device.serial, proof.thumbprint);
  store_.note_agent(device.serial, claim.agent, claim.model);
  TokenRecord record;
  const std::string token = make_token();
  record.hash = token_hash(token);
  record.serial = device.serial;
  record.generation = device.generation;
  record.expires_at = now.wall + settings_.token_life_s * 1000LL;
  store_.add_tokens({&record, 1});
  return {
      200,
      Json{{"token", token}, {"expires_in", settings_.token_life_s}, {"binding", is_new ? "new" : "existing"}}.dump()};
}

}  // namespace hawser::cloud
