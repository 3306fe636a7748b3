//! CPUID as the guest sees it: what KVM supports, with each vCPU's own place in the topology.
//!
//! Every vCPU is a core of one package, without hyperthreads. The host's own topology says nothing
//! about the guest and is taken out.

use kvm_bindings::{CpuId, KVM_MAX_CPUID_ENTRIES};
use kvm_ioctls::{Cap, Kvm};

const LEAF1_ECX_TSC_DEADLINE: u32 = 1 << 24;
const LEAF1_ECX_HYPERVISOR: u32 = 1 << 31;
const LEAF1_EDX_HTT: u32 = 1 << 28;

/// What KVM can offer on this host.
///
/// # Errors
/// As `KVM_GET_SUPPORTED_CPUID`.
pub fn supported(kvm: &Kvm) -> Result<CpuId, kvm_ioctls::Error> {
    let mut cpuid = kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)?;
    let deadline = kvm.check_extension(Cap::TscDeadlineTimer);
    for entry in cpuid.as_mut_slice() {
        if entry.function == 1 {
            entry.ecx |= LEAF1_ECX_HYPERVISOR;
            // KVM emulates it but does not list it. With it the guest's APIC timer needs no
            // calibration, which would wait.
            if deadline {
                entry.ecx |= LEAF1_ECX_TSC_DEADLINE;
            }
        }
    }
    Ok(cpuid)
}

/// The same, for one vCPU of so many.
pub fn for_vcpu(supported: &CpuId, id: u8, vcpus: u8) -> CpuId {
    let mut cpuid = supported.clone();
    let id = u32::from(id);
    let count = u32::from(vcpus);
    // Bits that an APIC id needs for the core's number.
    let bits = count.next_power_of_two().trailing_zeros();
    for entry in cpuid.as_mut_slice() {
        match (entry.function, entry.index) {
            (1, _) => {
                entry.ebx = entry.ebx & 0xffff | id << 24 | count << 16;
                if vcpus > 1 {
                    entry.edx |= LEAF1_EDX_HTT;
                } else {
                    entry.edx &= !LEAF1_EDX_HTT;
                }
            }
            // Cache sharing: each cache belongs to one core.
            (4 | 0x8000_001d, _) => {
                entry.eax &= !(0xfff << 14);
                if entry.function == 4 {
                    entry.eax |= (count - 1).min(0x3f) << 26;
                } else {
                    entry.eax &= 0x3fff;
                }
            }
            (0xb | 0x1f, 0) => {
                // Threads of a core.
                (entry.eax, entry.ebx, entry.ecx) = (0, 1, 0x100);
                entry.edx = id;
            }
            (0xb | 0x1f, 1) => {
                // Cores of the package.
                (entry.eax, entry.ebx, entry.ecx) = (bits, count, 0x201);
                entry.edx = id;
            }
            (0xb | 0x1f, index) => {
                (entry.eax, entry.ebx, entry.ecx) = (0, 0, index);
                entry.edx = id;
            }
            (0x8000_0008, _) => entry.ecx = bits << 12 | (count - 1),
            (0x8000_001e, _) => {
                (entry.eax, entry.ebx, entry.ecx) = (id, id & 0xff, 0);
            }
            _ => {}
        }
    }
    cpuid
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvm_bindings::kvm_cpuid_entry2;

    fn entry(function: u32, index: u32) -> kvm_cpuid_entry2 {
        kvm_cpuid_entry2 {
            function,
            index,
            eax: !0,
            ebx: !0,
            ecx: !0,
            edx: !0,
            ..Default::default()
        }
    }

    #[test]
    fn each_vcpu_has_its_own_apic_id_and_one_package() {
        let all = [
            entry(1, 0),
            entry(0xb, 0),
            entry(0xb, 1),
            entry(0xb, 2),
            entry(0x8000_001e, 0),
        ];
        let host = CpuId::from_entries(&all).unwrap();
        for id in [0u8, 5] {
            let guest = for_vcpu(&host, id, 6);
            let leaf = |n: usize| guest.as_slice()[n];
            assert_eq!(leaf(0).ebx >> 24, u32::from(id));
            assert_eq!(leaf(0).ebx >> 16 & 0xff, 6);
            assert_eq!(
                (leaf(1).eax, leaf(1).ebx, leaf(1).edx),
                (0, 1, u32::from(id))
            );
            assert_eq!(
                (leaf(2).eax, leaf(2).ebx, leaf(2).edx),
                (3, 6, u32::from(id))
            );
            assert_eq!(leaf(3).ebx, 0);
            assert_eq!(leaf(4).eax, u32::from(id));
        }
        let single = for_vcpu(&host, 0, 1);
        assert_eq!(single.as_slice()[0].edx & LEAF1_EDX_HTT, 0);
    }
}
