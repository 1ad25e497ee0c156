# SPDX-License-Identifier: Apache-2.0
"""Values that storage drivers put into connection properties."""

# How a LUN number becomes the address the kernel uses; see LinuxSCSI.lun_for_addressing.
SCSI_ADDRESSING_TRANSPARENT = 'transparent'
SCSI_ADDRESSING_SAM = 'SAM'
SCSI_ADDRESSING_SAM2 = 'SAM2'
SCSI_ADDRESSING_SAM3_FLAT = 'SAM3-flat'

#: Every value accepted as ``addressing_mode``.
SCSI_ADDRESSING_MODES = (SCSI_ADDRESSING_TRANSPARENT,
                         SCSI_ADDRESSING_SAM,
                         SCSI_ADDRESSING_SAM2,
                         SCSI_ADDRESSING_SAM3_FLAT)
