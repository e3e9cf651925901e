#include "core/control/doctor_report.hpp"

#include <algorithm>
#include <array>
#include <iterator>

#include "core/base/encoding.hpp"
#include "core/control/reasons.hpp"

namespace hawser::control {
namespace {

constexpr std::size_t kStepBytesMax = 1000;
constexpr std::size_t kNameColumns = 15;
constexpr std::size_t kWordColumns = 8;

struct Advice {
  std::string_view code, words;
};

constexpr Advice kAdvice[] = {
    {"dns_failed",
     "check the spelling of the name, and that the name servers of /etc/resolv.conf answer (getent hosts NAME)"},
    {"connect_refused",
     "the host is there, but nothing listens at this port or a firewall refuses: check the port and the cloud"},
    {"connect_timeout",
     "a firewall may swallow the packets, or the host is down: let TCP to this address and port out"},
    {"network_unreachable",
     "there is no way to this address: check `ip route`, the interface, its address and the cable"},
    {"attempt_timeout", "the network or the server is very slow: try again, and look for lost packets (ping, mtr)"},
    {"http_timeout",
     "the server takes the connection but does not answer: look at the cloud's log, or for a box between that holds "
     "data back"},
    {"peer_closed", "the server, or a box between, closes the connection: look at the cloud's log"},
    {"tls_failed",
     "set [cloud.tls] ca_file to the certificate of the cloud's authority, or find out who answers in its place"},
    {"certificate_clock", "set this device's clock, or renew the cloud's certificate"},
    {"bad_response",
     "something that is no Hawser cloud answers here: check domain and port, and for a captive portal or a proxy "
     "between"},
    {"upgrade_refused", "something between does not let WebSocket through: let HTTP upgrades pass"},
    {"not_found", "something that is no Hawser cloud answers here: check domain and port"},
    {"proxy_refused",
     "check that the proxy runs at its host and port, and let it connect to this server (CONNECT), or name the server "
     "in no_proxy"},
    {"proxy_auth_required", "set user and password of the proxy"},
    {"vpn_instance_missing", "create the VRF device or the network namespace, or correct vpn_instance"},
    {"source_ip_missing", "give the device this address, or correct source_ip"},
    {"no_server", "name one: hawserctl server set DOMAIN; or let the DHCP server name it (option 253)"},
    {"unknown_serial", "add the serial number of this device to the cloud"},
    {"device_blocked", "an operator of the cloud has blocked this device: let it be unblocked there"},
    {"device_removed", "the device was removed from the cloud: add its serial number anew"},
    {"enrolment_closed", "add the serial number to the cloud anew, and connect within its enrolment window"},
    {"key_mismatch",
     "the serial number is bound to another device key: unbind it in the cloud, or put the old device.key back"},
    {"proof_invalid",
     "the cloud refuses the device's proof: check that domain and serial number are the ones the cloud knows"},
    {"password_required", "set the password: hawserctl server password"},
    {"password_wrong", "correct the password: hawserctl server password"},
    {"hardware_incompatible", "this model does not go with this kind of cloud: see hawserctl compat"},
    {"too_many_requests", "wait some minutes; if it stays, look for a second device with the same serial number"},
    {"unavailable", "the cloud asks for patience: try again later"},
    {"token_expired", "try again; if it stays, look at the clock of the cloud"},
};

std::string_view word_of(Found found) {
  constexpr std::array<std::string_view, 4> kWords = {"ok", "warning", "FAILED", "skipped"};
  return kWords.at(static_cast<std::size_t>(found));
}

std::string padded(std::string_view text, std::size_t columns) {
  return std::string(text) + std::string(columns - std::min(columns, text.size()), ' ');
}

std::string counted(std::size_t count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

}  // namespace

std::string advice_for(const std::string& code) {
  const auto row =
      std::find_if(std::begin(kAdvice), std::end(kAdvice), [&](const Advice& one) { return one.code == code; });
  return row == std::end(kAdvice) ? "" : std::string(row->words);
}

void DoctorReport::add(DoctorStep step) {
  step.group = group_;
  if (step.advice.empty() && step.found == Found::Failed) step.advice = advice_for(step.code);
  failures_ += step.found == Found::Failed ? 1 : 0;
  warnings_ += step.found == Found::Warning ? 1 : 0;
  skipped_ += step.found == Found::Skipped ? 1 : 0;
  if (print_) print_(text_of(step));
  steps_.push_back(std::move(step));
}

bool DoctorReport::add(const std::string& name, const std::string& address, TimePoint began, const Status& status,
                       const std::string& seen, const std::string& advice) {
  DoctorStep step;
  step.name = name;
  step.address = address;
  step.took = std::chrono::duration_cast<milliseconds>(Clock::now() - began);
  step.found = status ? Found::Ok : Found::Failed;
  step.detail = status ? seen : status.error().message;
  step.code = status ? "" : status.error().code;
  step.advice = status ? "" : advice;
  add(std::move(step));
  return status.has_value();
}

// "  FAILED  TCP            192.0.2.1: connection refused: ...  (3 ms)" and, below it, what to do.
std::string DoctorReport::text_of(const DoctorStep& step) {
  std::string text;
  if (step.group != shown_group_) text += (shown_group_.empty() ? "" : "\n") + printable(step.group) + "\n";
  shown_group_ = step.group;
  text += "  " + padded(word_of(step.found), kWordColumns) + padded(printable(step.name), kNameColumns);
  if (!step.address.empty()) text += printable(step.address) + ": ";
  if (!step.code.empty() && step.found == Found::Failed) text += printable(reason_in_words(step.code)) + ": ";
  text += printable(step.detail, kStepBytesMax);
  if (step.found == Found::Ok || step.found == Found::Failed) text += " (" + std::to_string(step.took.count()) + " ms)";
  text += "\n";
  if (!step.advice.empty())
    text += std::string(2 + kWordColumns, ' ') + "What to do: " + printable(step.advice, kStepBytesMax) + ".\n";
  return text;
}

std::string DoctorReport::closing_line() const {
  std::string text = "\n" + counted(failures_, "failure", "failures");
  if (warnings_ > 0) text += ", " + counted(warnings_, "warning", "warnings");
  if (skipped_ > 0) text += ", " + counted(skipped_, "step", "steps") + " skipped";
  return text + ".\n";
}

json::Object DoctorReport::to_json() const {
  auto answer = json::make_object();
  answer->set("ok", failures_ == 0);
  answer->set("failures", failures_);
  answer->set("warnings", warnings_);
  auto steps = json::make_array();
  for (const DoctorStep& step : steps_) {
    const auto text = [](const std::string& value) {
      return value.empty() ? Poco::Dynamic::Var() : Poco::Dynamic::Var(value);
    };
    auto one = json::make_object();
    one->set("group", step.group);
    one->set("address", text(step.address));
    one->set("step", step.name);
    one->set("result", step.found == Found::Failed ? "failed" : std::string(word_of(step.found)));
    one->set("detail", text(step.detail));
    one->set("reason", text(step.code));
    one->set("advice", text(step.advice));
    one->set("took_ms", static_cast<Poco::Int64>(step.took.count()));
    steps->add(one);
  }
  answer->set("steps", steps);
  return answer;
}

}  // namespace hawser::control
