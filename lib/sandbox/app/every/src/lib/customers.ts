import { createAdminClient } from '@/lib/supabase'

export const PLACEHOLDER = 'Guest'

export async function customerByMobile(mobile: string) {
  const national = '0' + mobile.replace(/^\+44/, '')
  const { data, error } = await createAdminClient()
    .from('customers')
    .select('id, first_name, sms_opt_in, messaging_status')
    .in('mobile_number', [mobile, national])
    .limit(1)
  if (error) throw error
  return data[0] ?? null
}

export async function newCustomer(mobile: string, firstName: string, lastName: string) {
  const { data, error } = await createAdminClient()
    .from('customers')
    .insert({ first_name: firstName, last_name: lastName, mobile_number: mobile, sms_opt_in: true })
    .select('id, first_name, sms_opt_in, messaging_status')
    .single()
  if (error) throw error
  return data
}
