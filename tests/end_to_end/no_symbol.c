/* A shared library that is no plugin: the entry symbol is missing. */
int hawser_not_a_plugin(void);
int hawser_not_a_plugin(void) { return 0; }
