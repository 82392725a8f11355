/* A PKCS #11 module in front of another one (SHIM_MODULE), with one fault (SHIM_FAULT). */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long ulong;

/* CK_FUNCTION_LIST of PKCS #11 2.40. */
struct list { unsigned char version[2]; void *call[68]; };
enum { GetSlotList = 4, GetTokenInfo = 6, Login = 18, DestroyObject = 22, GetAttributeValue = 24, GenerateKeyPair = 59 };
/* CK_TOKEN_INFO up to utcTime. */
struct info { char text[96]; ulong flags; ulong counts[10]; unsigned char versions[4]; char utc_time[16]; };
struct mechanism { ulong type; void *parameter; ulong length; };

static struct list *real, own;
static const char *fault;
static int slot_lists, reads;

static int is(const char *name) { return strcmp(fault, name) == 0; }

static ulong get_slot_list(unsigned char present, ulong *slots, ulong *count) {
    /* A list takes two calls: for its length, and for the slots. */
    if (is("empty-once") && slot_lists++ < 2) { *count = 0; return 0; }
    return ((ulong (*)(unsigned char, ulong *, ulong *)) real->call[GetSlotList])(present, slots, count);
}

static ulong get_token_info(ulong slot, struct info *info) {
    if (is("unreadable")) return 0x80000123UL;
    ulong returned = ((ulong (*)(ulong, struct info *)) real->call[GetTokenInfo])(slot, info);
    if (is("clock") && returned == 0) {
        info->flags |= 0x40; /* CKF_CLOCK_ON_TOKEN */
        memcpy(info->utc_time, "12:23:30\0\0\0\0\0\0\0\0", 16);
    }
    return returned;
}

static ulong login(ulong session, ulong user, char *pin, ulong length) {
    /* Logs each attempt. */
    if (is("fails-to-log-in")) {
        FILE *log = fopen(getenv("SHIM_LOG"), "a");
        fputs("login\n", log);
        fclose(log);
        return 5;
    }
    return ((ulong (*)(ulong, ulong, char *, ulong)) real->call[Login])(session, user, pin, length);
}

static ulong destroy_object(ulong session, ulong object) {
    if (is("keeps-keys")) return 0;
    return ((ulong (*)(ulong, ulong)) real->call[DestroyObject])(session, object);
}

static ulong get_attribute_value(ulong session, ulong object, void *template, ulong count) {
    /* The object is destroyed before it is read, as by another process. */
    if (strncmp(fault, "vanishes-", 9) == 0 && ++reads == atoi(fault + 9))
        ((ulong (*)(ulong, ulong)) real->call[DestroyObject])(session, object);
    return ((ulong (*)(ulong, ulong, void *, ulong)) real->call[GetAttributeValue])(session, object, template, count);
}

static ulong generate_key_pair(ulong session, struct mechanism *mechanism, void *public, ulong publics,
                               void *private, ulong privates, ulong *pair, ulong *other) {
    /* CKM_RSA_PKCS_KEY_PAIR_GEN is 0. */
    if (is("generates-nothing") || (is("rsa-only") && mechanism->type != 0)) return 0x70; /* CKR_MECHANISM_INVALID */
    if (is("fails-to-generate")) return 5; /* CKR_GENERAL_ERROR */
    return ((ulong (*)(ulong, struct mechanism *, void *, ulong, void *, ulong, ulong *, ulong *))
            real->call[GenerateKeyPair])(session, mechanism, public, publics, private, privates, pair, other);
}

ulong C_GetFunctionList(struct list **list) {
    fault = getenv("SHIM_FAULT");
    void *module = dlopen(getenv("SHIM_MODULE"), RTLD_NOW);
    if (!fault || !module) return 5; /* CKR_GENERAL_ERROR */
    ulong (*get)(struct list **) = (ulong (*)(struct list **)) dlsym(module, "C_GetFunctionList");
    ulong returned = get(&real);
    if (returned) return returned;
    own = *real;
    own.call[3] = (void *) C_GetFunctionList;
    own.call[GetSlotList] = (void *) get_slot_list;
    own.call[GetTokenInfo] = (void *) get_token_info;
    own.call[Login] = (void *) login;
    own.call[DestroyObject] = (void *) destroy_object;
    own.call[GetAttributeValue] = (void *) get_attribute_value;
    own.call[GenerateKeyPair] = (void *) generate_key_pair;
    *list = &own;
    return 0;
}
