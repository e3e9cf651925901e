#pragma once

#include <string>
#include <vector>

#include "sdk/testing/conformance/run.hpp"

namespace hawser::sdk::conformance {

// One line for a check that passed or says nothing; a failure has what was found, the rule and the remedy.
std::string line_of(const Ran& ran);
std::string summary_of(const std::vector<Ran>& all);

// The form that build servers read: one testsuite, one testcase for each check.
std::string junit_of(const std::string& plugin, const std::vector<Ran>& all);

}  // namespace hawser::sdk::conformance
