#include "core/control/reasons.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>

namespace hawser::control {
namespace {

struct Row {
  std::string_view reason, words;
};

constexpr Row kReasons[] = {
    // HTTP
    {"bad_request", "request not understood by the cloud"},
    {"nonce_required", "authentication needs a fresh nonce"},
    {"token_expired", "token expired"},
    {"proof_invalid", "authentication proof refused"},
    {"unknown_serial", "serial number not added to the cloud"},
    {"device_blocked", "device blocked by the cloud"},
    {"device_removed", "device removed from the cloud"},
    {"enrolment_closed", "enrolment window closed"},
    {"key_mismatch", "serial number bound to another device key"},
    {"password_required", "password required"},
    {"password_wrong", "password wrong"},
    {"hardware_incompatible", "hardware not compatible with the cloud"},
    {"not_found", "not found at the cloud"},
    {"not_registered", "device not registered"},
    {"method_not_allowed", "method not allowed by the cloud"},
    {"body_too_large", "request too large for the cloud"},
    {"too_many_requests", "too many requests"},
    {"unavailable", "cloud unavailable"},
    // Close
    {"normal", "closed normally"},
    {"going_away", "peer going away"},
    {"framing", "WebSocket framing error"},
    {"not_text", "binary message where text was due"},
    {"bad_payload", "message not understood"},
    {"policy", "message against the protocol"},
    {"too_big", "message too big"},
    {"server_error", "cloud server error"},
    {"restarting", "cloud restarting"},
    {"try_again", "cloud busy, try again later"},
    {"token_withdrawn", "token withdrawn by the cloud"},
    {"hang_up", "no answer from the peer"},
    {"keepalive_expired", "keepalive timeout"},
    {"replaced", "replaced by a newer connection of the same serial number"},
    {"unbound", "device unbound from the cloud"},
    {"drained", "moved away at the cloud's request"},
    {"revoked", "service revoked by the cloud"},
    // Local
    {"dns_failed", "domain name not resolved"},
    {"connect_refused", "connection refused"},
    {"connect_timeout", "connection timeout"},
    {"network_unreachable", "network unreachable"},
    {"tls_failed", "TLS error"},
    {"http_timeout", "HTTP response timeout"},
    {"bad_response", "response not understood"},
    {"upgrade_refused", "WebSocket handshake refused"},
    {"peer_closed", "socket connection error"},
    {"reset_by_operator", "reset by operator"},
    {"server_changed_by_config", "server changed by configuration"},
    {"server_changed_by_dhcp", "server changed by DHCP"},
    {"password_changed_by_dhcp", "password changed by DHCP"},
    {"no_server", "no cloud server specified"},
    {"agent_restarted", "agent restarted"},
    {"proxy_refused", "proxy refused the connection"},
    {"proxy_auth_required", "proxy authentication required"},
    {"vpn_instance_missing", "VPN instance missing"},
    {"source_ip_missing", "source IP address missing"},
    {"certificate_clock", "certificate not valid at the device's time"},
    {"attempt_timeout", "attempt timeout"},
    // Drops
    {"queue_full", "buffer full"},
    {"spool_full", "spool full"},
    {"spool_damaged", "message damaged in the spool"},
    {"expired", "message expired"},
    {"nacked", "message refused by the cloud"},
    {"cloud_state_lost", "state lost by the cloud"},
    // Unbinding, grants, configuration
    {"code_wrong", "verification code wrong"},
    {"code_expired", "verification code expired"},
    {"code_used", "verification code used already"},
    {"service_unknown", "service unknown to the cloud"},
    {"not_enabled_for_site", "service not enabled for the site"},
    {"microservice_down", "microservice down"},
    {"plugin_blocked", "plugin blocked by the cloud"},
    {"busy", "busy with an earlier revision"},
    {"unknown_command", "command unknown to this version"},
    {"revision_lower", "revision lower than the present one"},
    {"local_policy", "not allowed by the device's own configuration"},
    {"disabled_by_site", "disabled by the site profile"},
    {"disabled_by_cloud", "disabled by the cloud on this device"},
    {"version_missing", "another version asked for by the site profile"},
    {"path_refused", "path not allowed on the device"},
    {"digest_mismatch", "content not what its digest says"},
    {"owner_unknown", "owner or group unknown on the device"},
    {"reload_failed", "reload action failed"},
    {"not_confirmed", "cloud not reached again in time"},
    {"parts_missing", "parts of the revision missing"},
    {"write_failed", "files not written"},
    // Plugins and thresholds
    {"plugin_missing", "plugin not installed"},
    {"manifest_missing", "manifest missing"},
    {"manifest_refused", "manifest refused"},
    {"service_claimed", "service claimed by another plugin"},
    {"exited", "plugin exited"},
    {"crashed", "plugin crashed"},
    {"killed", "plugin killed from outside"},
    {"out_of_memory", "plugin out of memory"},
    {"stalled", "plugin stalled"},
    {"over_budget", "plugin over its limits"},
    {"config_refused", "configuration refused by the plugin"},
    {"abi_refused", "plugin refused by its host"},
    {"signature_refused", "plugin signature refused"},
    {"stopped_by_operator", "stopped by operator"},
    {"quarantined", "plugin in quarantine"},
    {"released", "released from quarantine"},
    {"safe_mode", "agent in safe mode"},
    {"upgraded", "plugin upgraded"},
    {"put_back", "plugin put back to the version before"},
    {"consent_needed", "plugin asks for more permissions"},
    {"raised", "threshold exceeded"},
    {"cleared", "threshold no longer exceeded"},
};

}  // namespace

std::string reason_in_words(const std::string& reason) {
  const auto row =
      std::find_if(std::begin(kReasons), std::end(kReasons), [&](const Row& r) { return r.reason == reason; });
  return row == std::end(kReasons) ? reason : std::string(row->words);
}

}  // namespace hawser::control
