int hawser_thing(void) { return 1; }
