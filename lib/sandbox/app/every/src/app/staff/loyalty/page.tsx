import { createAdminClient } from '@/lib/supabase'

export default async function Page() {
  const { data, error } = await createAdminClient()
    .from('customers')
    .select('id, first_name, last_name')
    .order('last_name')
  if (error) throw error
  return (
    <ul>
      {data.map((customer) => (
        <li key={customer.id}>{customer.first_name} {customer.last_name}</li>
      ))}
    </ul>
  )
}
