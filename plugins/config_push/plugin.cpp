#include "config_push.hpp"

HAWSER_PLUGIN(hawser::config_push::ConfigPush)
