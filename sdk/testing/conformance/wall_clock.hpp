#pragma once

#include <chrono>

namespace hawser::sdk::testing {

// Sets what this whole program, its plugins among it, takes for the time of day. Other clocks go on as they do.
void jump_wall_clock(std::chrono::seconds from_the_true_time);

}  // namespace hawser::sdk::testing
