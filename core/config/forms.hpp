#pragma once

#include <string>

// The forms of the names in a configuration, as checks for rules.hpp: what the text must be when it is not that, else
// empty. Any thread; nothing here blocks.
namespace hawser::config {

std::string check_serial(const std::string& text);        // sdk/protocol.md §2
std::string check_model(const std::string& text);         // 1 to 64 printable characters
std::string check_site(const std::string& text);          // empty, or a name that is safe as the name of a file
std::string check_domain(const std::string& text);        // promises conn-7, conn-8
std::string check_plugin_id(const std::string& text);     // owner.name
std::string check_action_name(const std::string& text);   // 1 to 64 of a-z 0-9 _ -
std::string check_vpn_instance(const std::string& text);  // empty, or a name of a network device or namespace
std::string check_source_ip(const std::string& text);     // empty, or an IPv4 or IPv6 address
std::string check_interface(const std::string& text);     // the name of a network interface
std::string check_no_proxy(const std::string& text);      // a domain name, an address, or "*"
std::string check_absolute_path(const std::string& text);

// Lower case, without the final dot: what two spellings of one domain have in common.
std::string canonical_domain(const std::string& domain);

}  // namespace hawser::config
