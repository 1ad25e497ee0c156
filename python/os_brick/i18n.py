# SPDX-License-Identifier: Apache-2.0
"""Translation of the texts users may see, through oslo.i18n."""

import oslo_i18n

DOMAIN = 'os-brick'

_translators = oslo_i18n.TranslatorFactory(domain=DOMAIN)

#: Marks a text as translatable and translates it.
_ = _translators.primary
