// What back ends have that need neither a barrier nor safepoints: stores are plain, and a thread that waits
// for others says nothing.
#define STORE(object, slot, value) (*(slot) = (value))
#define INIT(object, slot, value) (*(slot) = (value))
#define ROOT_STORE(index, value) (roots[index] = (value))

static inline void mutator_wait_begin(void) {}

static inline void mutator_wait_end(void) {}

static inline void mutator_poll(void) {}
