// Catch2 2 has no ready-made main; with Catch2 3 this file is not built.
#define CATCH_CONFIG_MAIN
#include "tests/catch.hpp"
