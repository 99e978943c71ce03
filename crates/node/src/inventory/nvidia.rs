//! GPUs through NVIDIA's management library, which comes with the driver and is loaded when it is
//! there. Only watching: nothing here changes a setting.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nvml_wrapper::Nvml;
use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::event::EventSet;

const MIB: u64 = 1 << 20;

/// How long one wait for an error lasts; the thread ends so soon after the daemon.
const WAIT_MS: u32 = 1_000;

/// One GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gpu {
    /// As the driver names it.
    pub name: String,
    /// Its memory.
    pub memory_mib: u64,
}

/// What a GPU does now; a figure that the driver does not give is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reading {
    /// Position on the machine.
    pub index: u32,
    /// The GPU's own id.
    pub uuid: String,
    /// As the driver names it.
    pub name: String,
    /// Percent of time in which a kernel ran.
    pub utilization: Option<f64>,
    /// Memory in use, MiB.
    pub memory_used_mib: Option<f64>,
    /// Degrees Celsius.
    pub temperature: Option<f64>,
    /// Watts.
    pub power: Option<f64>,
    /// The last Xid error since the daemon started; 0 when there was none.
    pub xid: f64,
}

/// The machine's GPUs.
pub(crate) struct Gpus {
    watch: Arc<Watch>,
}

struct Watch {
    nvml: Nvml,
    xids: Mutex<BTreeMap<String, u64>>,
}

impl Gpus {
    /// The GPUs, if there is a driver and it lists any.
    pub(crate) fn find() -> Option<Self> {
        let nvml = Nvml::init()
            .inspect_err(|error| tracing::debug!(%error, "no NVIDIA driver"))
            .ok()?;
        if nvml.device_count().unwrap_or(0) == 0 {
            return None;
        }
        let watch = Arc::new(Watch {
            nvml,
            xids: Mutex::default(),
        });
        watch_errors(Arc::clone(&watch));
        Some(Self { watch })
    }

    /// Every GPU that the driver describes.
    pub(crate) fn list(&self) -> Vec<Gpu> {
        let nvml = &self.watch.nvml;
        let describe = |index| {
            let device = nvml.device_by_index(index)?;
            let memory_mib = device.memory_info()?.total / MIB;
            Ok::<_, NvmlError>(Gpu {
                name: device.name()?,
                memory_mib,
            })
        };
        (0..nvml.device_count().unwrap_or(0))
            .filter_map(|index| describe(index).ok())
            .collect()
    }

    /// The driver's version.
    pub(crate) fn driver(&self) -> String {
        self.watch
            .nvml
            .sys_driver_version()
            .unwrap_or_else(|_| "unknown".to_owned())
    }

    /// What every GPU does now.
    pub(crate) fn read(&self) -> Vec<Reading> {
        let count = self.watch.nvml.device_count().unwrap_or(0);
        (0..count)
            .filter_map(|index| self.watch.read(index).ok())
            .collect()
    }
}

impl Watch {
    fn read(&self, index: u32) -> Result<Reading, NvmlError> {
        let device = self.nvml.device_by_index(index)?;
        let uuid = device.uuid()?;
        let xids = self.xids.lock().unwrap_or_else(PoisonError::into_inner);
        let xid = xids.get(&uuid).copied().unwrap_or(0);
        Ok(Reading {
            index,
            name: device.name()?,
            utilization: device
                .utilization_rates()
                .ok()
                .map(|rates| f64::from(rates.gpu)),
            memory_used_mib: device
                .memory_info()
                .ok()
                .map(|memory| whole(memory.used / MIB)),
            temperature: device
                .temperature(TemperatureSensor::Gpu)
                .ok()
                .map(f64::from),
            power: device
                .power_usage()
                .ok()
                .map(|milliwatts| f64::from(milliwatts) / 1_000.0),
            xid: whole(xid),
            uuid,
        })
    }

    /// Waits a while for a critical error and keeps it.
    fn wait(&self, events: &EventSet<'_>) -> Result<(), NvmlError> {
        let event = match events.wait(WAIT_MS) {
            Err(NvmlError::Timeout) => return Ok(()),
            other => other?,
        };
        let xid = match event.event_data {
            Some(XidError::Value(xid)) => xid,
            Some(XidError::Unknown) => 999,
            None => return Ok(()),
        };
        let uuid = event.device.uuid()?;
        tracing::error!(gpu = uuid, xid, "a GPU reports an Xid error");
        self.xids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(uuid, xid);
        Ok(())
    }

    fn keep_errors(self: Arc<Self>) -> Result<(), NvmlError> {
        let events = self.events()?;
        while Arc::strong_count(&self) > 1 {
            self.wait(&events)?;
        }
        Ok(())
    }

    fn events(&self) -> Result<EventSet<'_>, NvmlError> {
        let mut events = self.nvml.create_event_set()?;
        for index in 0..self.nvml.device_count()? {
            let device = self.nvml.device_by_index(index)?;
            let registered = device.register_events(EventTypes::CRITICAL_XID_ERROR, events);
            events = registered.map_err(|error| error.error)?;
        }
        Ok(events)
    }
}

/// A count as a metric's value; exact below 2^53.
#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are floats, and these are small"
)]
fn whole(count: u64) -> f64 {
    count as f64
}

/// Keeps the last Xid error of each GPU, in a thread that ends with the GPUs' last other holder.
fn watch_errors(watch: Arc<Watch>) {
    let wait = move || {
        if let Err(error) = watch.keep_errors() {
            tracing::debug!(%error, "Xid errors are not watched");
        }
    };
    if let Err(error) = thread::Builder::new().name("xid".to_owned()).spawn(wait) {
        tracing::debug!(%error, "Xid errors are not watched");
    }
}

impl fmt::Debug for Gpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gpus")
            .field("driver", &self.driver())
            .finish_non_exhaustive()
    }
}
