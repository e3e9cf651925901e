#include "core/connection/answers.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <string_view>

#include "core/base/encoding.hpp"
#include "core/base/json.hpp"

namespace hawser::connection {
namespace {

constexpr std::array<std::string_view, 9> kRefusals{"proof_invalid",     "unknown_serial",   "device_blocked",
                                                    "device_removed",    "enrolment_closed", "key_mismatch",
                                                    "password_required", "password_wrong",   "hardware_incompatible"};
constexpr std::size_t kShownMax = 120;
constexpr std::int64_t kSpreadMax = 3600;

struct CloudError {
  std::string code, message;
};

// {"error":{"code","message"}}, or nothing.
std::optional<CloudError> error_of(const transport::HttpAnswer& answer) {
  const auto body = json::parse_object(answer.body);
  if (!body) return std::nullopt;
  const auto error = json::object_member(*body, "error");
  if (!error) return std::nullopt;
  const auto code = json::text_member(*error, "code");
  if (!code) return std::nullopt;
  return CloudError{*code, printable(json::text_or(*error, "message"), kShownMax)};
}

// The status and the beginning of the body. A broken answer may hold a token that is valid all the same: it is never
// shown. [sec-2]
std::string shown(const transport::HttpAnswer& answer) {
  const std::string status = "HTTP " + std::to_string(answer.status);
  if (answer.body.empty()) return status;
  if (answer.body.find("token\"") != std::string::npos) return status + ": (not shown: it speaks of a token)";
  return status + ": " + printable(answer.body, kShownMax);
}

std::string words(const transport::HttpAnswer& answer, const std::optional<CloudError>& error) {
  if (!error) return shown(answer);
  const std::string status = "HTTP " + std::to_string(answer.status);
  return error->message.empty() ? status : status + ": " + error->message;
}

// With what a person should make of an answer that no Hawser cloud gives.
Error bad_response(const transport::HttpAnswer& answer, const std::string& what) {
  const Error error{"bad_response", what + "; " + shown(answer)};
  const auto hint = transport::hint_of(answer);
  return hint.empty() ? error : error.with_context(hint);
}

// Every status that is the same for all requests: 403, 429, 503, and what should not be.
Setback setback_of(const transport::HttpAnswer& answer) {
  const auto error = error_of(answer);
  Setback setback;
  if (answer.status == 429 || answer.status == 503) {
    setback.error = {answer.status == 429 ? "too_many_requests" : "unavailable", words(answer, error)};
    setback.retry_after = transport::retry_after(answer);
    return setback;
  }
  if (answer.status == 403 && error) {
    const bool known = std::find(kRefusals.begin(), kRefusals.end(), error->code) != kRefusals.end();
    setback.refused = true;
    setback.error =
        known ? Error{error->code, words(answer, error)} : bad_response(answer, "an unknown reason for a refusal");
    return setback;
  }
  setback.error = bad_response(answer, answer.status >= 300 && answer.status < 400 ? "a redirect is never followed"
                                                                                   : "an answer that is not due");
  return setback;
}

template <typename T>
Judged<T> failed(const transport::HttpAnswer& answer, const Error& fault) {
  return {Verdict::Failed, std::nullopt, {bad_response(answer, fault.message), std::nullopt, false}};
}

bool is_401_of(const transport::HttpAnswer& answer, std::string_view code) {
  if (answer.status != 401) return false;
  const auto error = error_of(answer);
  return error && error->code == code;
}

}  // namespace

bool is_token(const std::string& text) {
  return !text.empty() && text.size() <= kTokenBytesMax &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

Judged<TokenAnswer> judge_authentication(const transport::HttpAnswer& answer) {
  if (is_401_of(answer, "nonce_required"))
    return {Verdict::NonceRequired, std::nullopt, {{"nonce_required", "the cloud wants a new nonce"}, {}, false}};
  if (answer.status != 200) return {Verdict::Failed, std::nullopt, setback_of(answer)};
  const auto body = json::parse_object(answer.body);
  if (!body) return failed<TokenAnswer>(answer, body.error());
  const auto token = json::text_member(*body, "token", 1, kTokenBytesMax);
  const auto expires_in = json::integer_member(*body, "expires_in", 1);
  const auto binding = json::text_member(*body, "binding");
  // The body may hold a token: it is never shown.
  const auto fault = [&](const std::string& what) {
    return Judged<TokenAnswer>{Verdict::Failed, std::nullopt, {{"bad_response", what + "; HTTP 200"}, {}, false}};
  };
  if (!token) return fault(token.error().message);
  if (!is_token(*token)) return fault("member \"token\" must be visible ASCII");
  if (!expires_in) return fault(expires_in.error().message);
  if (!binding) return fault(binding.error().message);
  if (*binding != "new" && *binding != "existing") return fault("member \"binding\" must be new or existing");
  const seconds life = std::min(seconds(*expires_in), kTokenLifeMax);
  return {Verdict::Accepted, TokenAnswer{*token, life, *binding == "new"}, {}};
}

Judged<Registration> judge_registration(const transport::HttpAnswer& answer) {
  if (is_401_of(answer, "token_expired"))
    return {Verdict::TokenRefused, std::nullopt, {{"token_expired", "the cloud wants a new token"}, {}, false}};
  if (answer.status != 200) return {Verdict::Failed, std::nullopt, setback_of(answer)};
  const auto body = json::parse_object(answer.body);
  if (!body) return failed<Registration>(answer, body.error());
  const auto url = json::text_member(*body, "url", 1, kUrlBytesMax);
  if (!url) return failed<Registration>(answer, url.error());
  const auto spread = json::integer_member(*body, "reconnect_spread_s", 0, kSpreadMax);
  if (!spread) return failed<Registration>(answer, spread.error());
  const auto parsed = parse_wss_url(*url);
  if (!parsed) return {Verdict::Failed, std::nullopt, {parsed.error(), std::nullopt, false}};
  return {Verdict::Accepted, Registration{*parsed, seconds(*spread)}, {}};
}

Judged<std::monostate> judge_upgrade(const transport::HttpAnswer& answer) {
  const auto error = error_of(answer);
  Error refused{"upgrade_refused", words(answer, error)};
  if (const auto hint = transport::hint_of(answer, true); !hint.empty()) refused = refused.with_context(hint);
  if (answer.status == 401) return {Verdict::TokenRefused, std::nullopt, {refused, std::nullopt, false}};
  if (answer.status == 429 || answer.status == 503 || (answer.status == 403 && error))
    return {Verdict::Failed, std::nullopt, setback_of(answer)};
  return {Verdict::Failed, std::nullopt, {refused, std::nullopt, false}};
}

bool is_nonce(const std::string& text) {
  const auto fits = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  };
  return text.size() >= 16 && text.size() <= 128 && std::all_of(text.begin(), text.end(), fits);
}

std::optional<std::string> nonce_of(const transport::HttpAnswer& answer) {
  auto nonce = answer.header("hawser-nonce");
  return nonce && is_nonce(*nonce) ? nonce : std::nullopt;
}

std::optional<std::chrono::system_clock::time_point> date_of(const transport::HttpAnswer& answer) {
  const auto date = answer.header("date");
  if (!date) return std::nullopt;
  std::tm parts{};
  const char* end = ::strptime(date->c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (end == nullptr || *end != '\0') return std::nullopt;
  const std::time_t time = ::timegm(&parts);
  if (time <= 0 || time > 9'000'000'000) return std::nullopt;  // 2255: the clock's nanoseconds end soon after
  return std::chrono::system_clock::from_time_t(time);
}

}  // namespace hawser::connection
