#include <iostream>

#include "cloud/api/commands.hpp"
#include "cloud/api/device_json.hpp"
#include "cloud/api/password.hpp"
#include "cloud/gateway/clock.hpp"
#include "cloud/gateway/proof.hpp"
#include "cloud/gateway/registration.hpp"
#include "core/base/encoding.hpp"

// Who may come in, with what: passwords, unbinding codes, services.
namespace hawser::cloud {
namespace {
constexpr Millis kCodeLife = 10 * 60 * 1000;
constexpr int kCodeLength = 8;
constexpr std::string_view kCodeAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ23456789";
}  // namespace

int device_password(Store& store, const std::string& serial, bool unset) {
  if (auto refused = refuse_unknown(store, serial)) return *refused;
  std::optional<std::string> password;
  if (!unset) {
    auto given = read_password();
    if (!given) return failed(given.error().message);
    password = *given;
  }
  if (!store.set_password(serial, password)) return *refuse_unknown(store, serial);
  std::cout << "device " << serial << (unset ? " needs no password" : " needs this password")
            << " from its next authentication on; an open connection stays\n";
  return 0;
}

int unbinding_code(Store& store, const std::string& serial, bool json) {
  if (!is_serial(serial)) return failed("a serial is 1 to 64 of A-Z a-z 0-9 . _ -");
  std::string code;
  for (int i = 0; i < kCodeLength; ++i) code += kCodeAlphabet[random_below(kCodeAlphabet.size())];
  const Millis expires = Now::real().wall + kCodeLife;
  store.add_unbinding_code(serial, hex(sha256(serial + " " + code)), expires);
  if (json) {
    std::cout << for_terminal(Json{{"code", code}, {"expires_at", time_of(expires)}}, 2) << "\n";
    return 0;
  }
  std::cout << code << "\n";
  std::cerr << "valid once, for ten minutes; on the device: hawserctl unbind " << code << "\n";
  return 0;
}

int service_enable(Store& store, const std::string& serial, const std::string& service, bool enabled) {
  if (!is_service_name(service)) return failed("a service is 1 to 64 of a-z 0-9 _");
  if (!store.set_service_enabled(serial, service, enabled)) return *refuse_unknown(store, serial);
  std::cout << "service " << service << " of " << serial << (enabled ? " enabled\n" : " disabled\n");
  return 0;
}

}  // namespace hawser::cloud
