#include "daemon/identity.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/io/clock.h"
#include "daemon/io/files.h"

static int identity_parse(struct pump_identity *id, const char *text)
{
    char priv[KEY_STR_LEN + 1], pub[KEY_STR_LEN + 1];
    uint8_t check[KEY_LEN];
    int end = 0;
    if (sscanf(text, "i3run identity 1\nprivate %52[a-zA-Z2-7]\npublic %52[a-zA-Z2-7]\n%n", priv, pub, &end) != 2 || !end)
        return -EINVAL;
    if (text[end] || key_decode(priv, id->priv) < 0 || key_parse(pub, id->pub) < 0)
        return -EINVAL;
    x25519_public(check, id->priv);
    return crypto_equal(check, id->pub, KEY_LEN) ? 0 : -EINVAL;
}

int identity_save(const struct pump_identity *id, const char *data_folder)
{
    char path[1100], text[256], priv[KEY_STR_LEN + 1], pub[KEY_STR_LEN + 1];
    snprintf(path, sizeof(path), "%s/identity", data_folder);
    key_format(id->priv, priv);
    key_format(id->pub, pub);
    int n = snprintf(text, sizeof(text), "i3run identity 1\nprivate %s\npublic %s\n", priv, pub);
    int err = file_write(path, text, (size_t)n, true);
    crypto_wipe(text, sizeof(text));
    crypto_wipe(priv, sizeof(priv));
    return err;
}

static int identity_make(struct pump_identity *id, const char *data_folder)
{
    entropy_fill(id->priv, KEY_LEN);
    x25519_public(id->pub, id->priv);
    int err = identity_save(id, data_folder);
    id->created = !err;
    return err;
}

int identity_load(struct pump_identity *id, const char *data_folder, char *why, size_t whylen)
{
    char path[1100], *text;
    size_t len;
    snprintf(path, sizeof(path), "%s/identity", data_folder);
    int err = file_read(path, true, &text, &len);
    if (err == -ENOENT) {
        err = identity_make(id, data_folder);
        if (err)
            snprintf(why, whylen, "%s: cannot be written: %s", path, strerror(-err));
        return err;
    }
    if (err == -EPERM) {
        snprintf(why, whylen, "%s: must be yours and readable by you alone: chmod 600 '%s'", path, path);
        return err;
    }
    if (err) {
        snprintf(why, whylen, "%s: %s", path, strerror(-err));
        return err;
    }
    err = identity_parse(id, text);
    crypto_wipe(text, len);
    free(text);
    if (err)
        snprintf(why, whylen, "%s: damaged, or written by another version; it is left as it is", path);
    return err;
}
