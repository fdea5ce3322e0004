//! Instances of services: registered, renewed, listed, taken out.

use postern_registry::instance::{check_id, check_service};
use postern_registry::{Instance, Invalid, Listed, Listing, MAX_INSTANCES};
use postern_request::UnixMillis;
use postern_store::{Registry, RegistryError};

use super::Operators;
use crate::admin::Actor;
use crate::{IdentityError, audit};

/// What there is none of.
const WHAT: &str = "instance";

impl From<Invalid> for IdentityError {
    fn from(Invalid { what, reason }: Invalid) -> Self {
        Self::invalid(what, reason)
    }
}

impl From<RegistryError> for IdentityError {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Store(error) => Self::Store(error),
            RegistryError::ReadOnly(_) => Self::NotHere(
                "the document has services found by a catalog that is only read here: register \
                 instances there",
            ),
            RegistryError::Full => Self::invalid(WHAT, "the service has as many as it may have"),
        }
    }
}

impl Operators {
    /// The services that have had an instance lately, by name.
    ///
    /// # Errors
    /// Those of the registry.
    pub async fn services(&self, now: UnixMillis) -> Result<Vec<String>, IdentityError> {
        Ok(self.registry()?.services(now).await?)
    }

    /// The instances of a service, by their ids; none where nobody runs it.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`] where nothing can be called so, and those of the registry.
    pub async fn instances(
        &self,
        service: &str,
        now: UnixMillis,
    ) -> Result<Listing, IdentityError> {
        check_service(service).map_err(|_| IdentityError::NotFound("service"))?;
        Ok(self.registry()?.list(service, now).await?)
    }

    /// One instance.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`] and those of the registry.
    pub async fn instance(
        &self,
        service: &str,
        id: &str,
        now: UnixMillis,
    ) -> Result<Listed, IdentityError> {
        check_service(service).map_err(|_| IdentityError::NotFound("service"))?;
        let (found, _) = self.registry()?.find(service, id, now).await?;
        found.ok_or(IdentityError::NotFound(WHAT))
    }

    /// Registers an instance, or renews it and makes it what it says. One that stays is kept first:
    /// servers register it again where that fails after. What cannot be written to the audit log
    /// does not happen.
    ///
    /// # Errors
    /// [`IdentityError::Invalid`] and those of the stores.
    pub async fn register_instance(
        &self,
        instance: &Instance,
        by: &Actor,
        now: UnixMillis,
    ) -> Result<(), IdentityError> {
        instance.validate()?;
        let registry = self.registry()?;
        writable(registry)?;
        let (target, place) = (target(&instance.service, &instance.id), instance.place());
        let detail = [("address", place.as_str())];
        if instance.stays {
            let said = audit::entry(now, by.as_str(), "service.registered", &target, &detail);
            self.store.put_instance(instance, now, &said).await?;
            registry.register(instance, now).await?;
            return Ok(());
        }
        if self.store.find_instance(&instance.service, &instance.id).await?.is_some() {
            // The servers would make it again what it was.
            let reason = "it is one that stays: register it as that, or deregister it first";
            return Err(IdentityError::invalid(WHAT, reason));
        }
        let (there, count) = registry.find(&instance.service, &instance.id, now).await?;
        if there.is_none() && count >= MAX_INSTANCES {
            return Err(RegistryError::Full.into());
        }
        // Who only says again that it is there is not written down each time.
        if there.is_none_or(|listed| listed.instance != *instance) {
            self.write_down("service.registered", &target, &detail, by, now).await?;
        }
        registry.register(instance, now).await?;
        Ok(())
    }

    /// Renews an instance.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`] where it has to be registered again, and those of the registry.
    pub async fn renew_instance(
        &self,
        service: &str,
        id: &str,
        now: UnixMillis,
    ) -> Result<(), IdentityError> {
        check_names(service, id)?;
        let is_there = self.registry()?.heartbeat(service, id, now).await?;
        is_there.then_some(()).ok_or(IdentityError::NotFound(WHAT))
    }

    /// Takes an instance out.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`] and those of the stores.
    pub async fn deregister_instance(
        &self,
        service: &str,
        id: &str,
        by: &Actor,
        now: UnixMillis,
    ) -> Result<(), IdentityError> {
        check_names(service, id)?;
        let registry = self.registry()?;
        writable(registry)?;
        let target = target(service, id);
        let said = audit::entry(now, by.as_str(), "service.deregistered", &target, &[]);
        // Where it stays comes first: the servers would register it again.
        let was_kept = self.store.delete_instance(service, id, &said).await?;
        if !was_kept {
            let Listing { entries, left_out, .. } = registry.list(service, now).await?;
            let is_listed = entries.iter().any(|listed| listed.instance.id == id);
            // It may be one of those that cannot be read.
            if !is_listed && left_out == 0 {
                return Err(IdentityError::NotFound(WHAT));
            }
            self.store.append_audit(&said).await?;
        }
        let was_there = registry.deregister(service, id, now).await?;
        (was_kept || was_there).then_some(()).ok_or(IdentityError::NotFound(WHAT))
    }

    fn registry(&self) -> Result<&dyn Registry, IdentityError> {
        const WHY: &str = "there is no registry of services here: the server that has the volatile \
                           store has one";
        self.registry.as_deref().ok_or(IdentityError::NotHere(WHY))
    }
}

/// Before anything is kept of what the registry would refuse.
fn writable(registry: &dyn Registry) -> Result<(), IdentityError> {
    match registry.keeper() {
        Some(keeper) => Err(RegistryError::ReadOnly(keeper).into()),
        None => Ok(()),
    }
}

/// Nothing is there under a name that nothing can have.
fn check_names(service: &str, id: &str) -> Result<(), IdentityError> {
    let checked = check_service(service).and_then(|()| check_id(id));
    checked.map_err(|_| IdentityError::NotFound(WHAT))
}

/// As the audit log has it.
fn target(service: &str, id: &str) -> String {
    format!("{service}/{id}")
}

#[cfg(test)]
mod tests;
