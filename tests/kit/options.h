/* Which sanitizers this is built with, and so what a test may ask for. See kit/options.c. */
#ifndef KIT_OPTIONS_H
#define KIT_OPTIONS_H

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define KIT_THREAD_SANITIZER 1
#endif
#if __has_feature(address_sanitizer)
#define KIT_ADDRESS_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define KIT_THREAD_SANITIZER 1
#endif
#ifndef KIT_THREAD_SANITIZER
#define KIT_THREAD_SANITIZER 0
#endif
#if defined(__SANITIZE_ADDRESS__)
#define KIT_ADDRESS_SANITIZER 1
#endif
#ifndef KIT_ADDRESS_SANITIZER
#define KIT_ADDRESS_SANITIZER 0
#endif

#endif
